"""`run`: one prompt, one answer, streamed to stdout."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from npurun_tui import units
from npurun_tui.chat.model import ChatSettings
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.speaking import say
from npurun_tui.engine.engine import Engine, LoadedModel
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Finished, FinishReason, Piece, begin_turn
from npurun_tui.errors import UsageError
from npurun_tui.text import printable


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `run` was asked for."""

    prompt: str
    settings: ChatSettings
    json: bool = False

    def messages(self) -> list[ChatMessage]:
        """The conversation: a system prompt where one was given, and the prompt."""
        system = [ChatMessage("system", self.settings.system)] if self.settings.system else []
        return [*system, ChatMessage("user", self.prompt)]


def read_prompt(words: list[str], stdin: TextIO) -> str:
    """The prompt from the command line; a single `-` reads stdin to its end.

    Raises:
        UsageError: it is empty.
    """
    prompt = stdin.read() if words == ["-"] else " ".join(words)
    if not prompt.strip():
        raise UsageError(
            "The prompt is empty.", mend="Give it after the model's name, or `-` to read stdin."
        )
    return prompt


class Printer:
    """Writes the answer as it comes: raw to a pipe or file, made printable on a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._clean: Callable[[str], str] = printable if out.isatty() else str
        self.pieces: list[str] = []
        self.silent = False

    def write(self, text: str) -> None:
        """One piece of the answer, flushed at once."""
        self.pieces.append(text)
        if not self.silent:
            self._out.write(self._clean(text))
            self._out.flush()

    def end(self) -> None:
        """A newline, where the answer did not end with one."""
        if not self.silent and self.pieces and not self.pieces[-1].endswith("\n"):
            self._out.write("\n")
            self._out.flush()


def run_local(request: RunRequest, spec: ModelSpec, engine: Callable[[], Engine]) -> int:
    """Answer with an engine of our own; returns the exit status."""
    return asyncio.run(_run_local(request, spec, engine))


async def _run_local(
    request: RunRequest, spec: ModelSpec, make_engine: Callable[[], Engine]
) -> int:
    engine, printer = make_engine(), Printer(sys.stdout)
    printer.silent = request.json
    ctrl_c = Interrupts()
    try:
        with ctrl_c:
            async with engine.permit("run") as permit:
                model = await permit.load(spec)
                if not request.json:
                    say(f"[loaded {_label(model)} in {units.duration(model.load_ms / 1000)}]")
                turn = begin_turn(
                    permit, model.context_size, request.messages(), request.settings.options()
                )
                ctrl_c.gently = turn.stop
                finished = await turn.run(lambda event: _show(event, printer))
    except asyncio.CancelledError:
        if not ctrl_c.came:
            raise
        say("[interrupted]")
        return INTERRUPTED_STATUS
    finally:
        printer.end()
        await engine.aclose()
    _report(request, model, finished, printer)
    return INTERRUPTED_STATUS if ctrl_c.came else 0


def _show(event: object, printer: Printer) -> None:
    if isinstance(event, Piece):
        printer.write(event.text)


def _report(request: RunRequest, model: LoadedModel, finished: Finished, printer: Printer) -> None:
    if request.json:
        document = answer_document(model, finished, "".join(printer.pieces))
        print(json.dumps(document, ensure_ascii=False))  # noqa: T201 - stdout is what `run --json` is for
    else:
        say(closing_line(finished))


def answer_document(model: LoadedModel, finished: Finished, text: str) -> dict[str, object]:
    """The object of `run --json`."""
    stats = finished.stats
    return {
        "model": model.name,
        "backend": model.backend,
        "text": text,
        "finish_reason": finished.reason.value,
        "usage": {
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.completion_tokens,
            "cached_tokens": stats.cached_tokens,
        },
        "timings": {
            "load_ms": round(model.load_ms, 1),
            "ttft_ms": round(stats.ttft_ms, 1),
            "prefill_tps": round(stats.prefill_tps, 2),
            "decode_tps": round(stats.decode_tps, 2),
            "total_ms": round(stats.total_ms, 1),
        },
    }


def closing_line(finished: Finished) -> str:
    """What stderr says after the answer."""
    stats = finished.stats
    parts = [
        units.count(stats.completion_tokens, "token"),
        f"TTFT {units.duration(stats.ttft_ms / 1000)}",
        units.rate(stats.decode_tps),
    ]
    if finished.reason is FinishReason.LENGTH:
        parts.append(stats.note or "cut at the token limit")
    elif finished.reason is FinishReason.ABORTED:
        parts.append("stopped")
    return f"[{' · '.join(parts)}]"


def _label(model: LoadedModel) -> str:
    return f"{model.name} on {model.place}, context {model.context_size:,}"
