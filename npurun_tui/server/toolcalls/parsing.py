"""Tool calls found while the answer arrives: text goes through at once, what may be a call waits until it is decided.

The result does not depend on how the text was cut: every decision is made on the text from a candidate's first
character on, and is only made once more text cannot change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from npurun_tui.engine.messages import ToolCall
from npurun_tui.server.toolcalls.frames import Frames, Verdict
from npurun_tui.server.toolcalls.tools import Toolbox

MAX_HELD: Final = 1 << 18
"""Characters that wait for the end of one call; what is longer is text."""
MAX_WASTED: Final = 1 << 22
"""Characters looked at for calls that were none; after so many the rest of the answer is text."""

_OPENER: Final = re.compile(r"[<{\[`]")
_DECIDES: Final = re.compile(r"[}\]>`]")
"""What can end a call that is well on its way."""
_LONG_HEADER: Final = 256
"""Characters after which a candidate is inside of its body, where only `_DECIDES` can decide anything."""
_STRAY: Final = ("</tool_call>", "</function_call>", "</tool_calls>")
"""Closing tags whose opening one a tokenizer has swallowed."""

Found = str | ToolCall


class ToolParser:
    """Give `feed` the pieces of one answer as they come, and call `finish` at its end."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._text = ""
        self._at = 0
        """Where in `_text` the candidate begins, or the search goes on."""
        self._frames: Frames | None = None
        self._space = ""
        """Space that is only let through before more text: none is left before or after calls."""
        self._blank = True
        """The line so far is empty."""
        self._after_call = False
        self._called = False
        self._wasted = 0

    def feed(self, text: str) -> list[Found]:
        """The text and the calls that are certain now."""
        if self._frames is not None and len(self._text) - self._at > _LONG_HEADER:
            self._text += text
            if not _DECIDES.search(text) and len(self._text) - self._at < MAX_HELD:
                return []
        else:
            self._text += text
        return self._gather(last=False)

    def finish(self) -> list[Found]:
        """What was held back."""
        found = self._gather(last=True)
        if self._space and not self._called:
            found.append(self._space)
        self._space = ""
        return _joined(found)

    def _gather(self, *, last: bool) -> list[Found]:
        found = list(self._steps(last))
        self._text, self._at = self._text[self._at :], 0
        return _joined(found)

    def _steps(self, last: bool) -> Iterator[Found]:
        while self._at < len(self._text):
            if self._after_call and not self._tidy(last):
                return
            if self._at >= len(self._text):
                return
            if self._frames is None:
                yield from self._through(self._next_opener())
                if self._at >= len(self._text):
                    return
            self._frames = self._frames or Frames(self._tools)
            verdict = self._judge(self._frames, last)
            if verdict is None:
                return
            self._frames = None
            if verdict.calls:
                self._called = self._after_call = self._blank = True
                self._space = ""
                self._at += verdict.length
                yield from verdict.calls
            else:
                yield from self._through(self._at + verdict.length)

    def _judge(self, frames: Frames, last: bool) -> Verdict | None:
        text = self._text[self._at : self._at + MAX_HELD]
        last = last or len(text) == MAX_HELD
        verdict = frames.judge(text, line_start=self._blank, last=last)
        if verdict is not None and not verdict.calls:
            self._wasted += frames.looked_at(text, last)
        return verdict

    def _next_opener(self) -> int:
        if self._wasted > MAX_WASTED:
            return len(self._text)
        match = _OPENER.search(self._text, self._at)
        return match.start() if match else len(self._text)

    def _through(self, end: int) -> Iterator[str]:
        """Let the text up to `end` through, but for the space at its end."""
        text = self._space + self._text[self._at : end]
        self._at = end
        bare = text.rstrip()
        self._space = text[len(bare) :]
        line = text[text.rfind("\n") + 1 :]
        self._blank = not line.strip() and (self._blank or "\n" in text)
        if bare:
            self._after_call = False
            yield bare

    def _tidy(self, last: bool) -> bool:
        """Drop what may stand behind a call; False where more text has to say what it is."""
        while True:
            rest = self._text[self._at :]
            bare = rest.lstrip(" \t\r\n;,")
            self._at += len(rest) - len(bare)
            stray = next((each for each in _STRAY if bare.startswith(each)), "")
            if not stray:
                return last or not any(each.startswith(bare) for each in _STRAY)
            self._at += len(stray)


def _joined(found: list[Found]) -> list[Found]:
    """Neighbouring texts as one."""
    result: list[Found] = []
    for each in found:
        if isinstance(each, str) and result and isinstance(result[-1], str):
            result[-1] += each
        else:
            result.append(each)
    return result
