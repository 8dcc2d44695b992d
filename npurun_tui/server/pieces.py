"""From the pieces of an answer to what they mean: text, thoughts, calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from npurun_tui.engine.messages import ToolCall
from npurun_tui.engine.transcript import FinishReason
from npurun_tui.server.asking import Call, Text, Thought
from npurun_tui.server.generation import TIME_UP
from npurun_tui.server.signals import Asked, Began, Ended
from npurun_tui.server.thinking import Part, ThinkingParser
from npurun_tui.server.toolcalls import Toolbox, ToolParser
from npurun_tui.server.toolcalls.choice import must_call

Meaning = Text | Thought | Call

NO_CALL_MADE: Final = "A tool call was asked for, and the model made none."


class AnswerReader:
    """Reads one answer, on the server's loop."""

    def __init__(self, asked: Asked, stop: Callable[[], object]) -> None:
        """`stop` ends the generation; it is called where nothing more is wanted."""
        self._ask = asked.ask
        self._tools = asked.tools
        self._stop = stop
        self._thinking: ThinkingParser | None = None
        self._calls: ToolParser | None = None
        self._called = 0
        self._enough = False
        self.began = Began(0.0, 0.0)

    def begin(self, began: Began) -> None:
        """What comes now is the answer."""
        self.began = began
        if self._ask.prompt is None:
            self._thinking = ThinkingParser(opened=began.opened)
        if began.tools:
            self._calls = ToolParser(Toolbox(self._tools))

    def read(self, text: str) -> list[Meaning]:
        """What is certain with `text`."""
        if self._enough:
            return []
        parts = [Part(text)] if self._thinking is None else self._thinking.feed(text)
        return self._meant(parts)

    def end(self) -> list[Meaning]:
        """What was held back."""
        if self._enough:
            return []
        meant = self._meant(self._thinking.finish() if self._thinking is not None else [])
        if self._calls is not None and not self._enough:
            meant += self._found(self._calls.finish())
        return meant

    def reason(self, ended: Ended) -> Literal["stop", "length", "tool_calls"]:
        """Why the answer ended, and truly so."""
        if self._enough:
            return "tool_calls"
        if ended.finished.reason is not FinishReason.STOP:
            return "length"
        return "tool_calls" if self._called else "stop"

    def warnings(self, ended: Ended) -> tuple[str, ...]:
        """All there are to give."""
        said = list(self.began.warnings)
        if ended.time_up:
            said.append(TIME_UP)
        if self._tools and must_call(self._ask.tool_choice) and not self._called:
            said.append(NO_CALL_MADE)
        return tuple(said)

    def _meant(self, parts: list[Part]) -> list[Meaning]:
        meant: list[Meaning] = []
        for part in parts:
            if part.thought:
                meant += [] if self._ask.think is False else [Thought(part.text)]
            elif self._calls is None:
                meant.append(Text(part.text))
            else:
                meant += self._found(self._calls.feed(part.text))
        return meant

    def _found(self, found: list[str | ToolCall]) -> list[Meaning]:
        meant: list[Meaning] = []
        for each in found:
            if isinstance(each, str):
                meant.append(Text(each))
                continue
            meant.append(Call(self._called, each))
            self._called += 1
            if not self._ask.parallel_tool_calls:
                self._enough = True
                self._stop()
                break
        return meant
