"""How a bench is told while it goes: rows to stdout, a line that changes on a terminal's stderr, the rest to stderr."""

from __future__ import annotations

import shutil
import sys
from typing import Final, TextIO

from npurun_tui import units
from npurun_tui.bench.events import (
    BenchEvent,
    Loaded,
    Loading,
    Noted,
    Resting,
    RunBegan,
    RunEnded,
    Ticked,
    Waiting,
)
from npurun_tui.bench.records import Side
from npurun_tui.commands import bench_lines as lines
from npurun_tui.commands.speaking import say
from npurun_tui.text import one_line

ERASE: Final = "\r\x1b[K"


class LiveLine:
    """One line on a terminal that is written over; nothing where stderr is no terminal."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out if out is not None and out.isatty() else None
        self._shown = False

    def show(self, text: str) -> None:
        """Put `text` in its place."""
        if self._out is not None:
            width = shutil.get_terminal_size().columns
            self._write(f"{ERASE}{one_line(text, max(10, width - 1))}")
            self._shown = True

    def clear(self) -> None:
        """Take it away, before anything else is written."""
        if self._shown:
            self._write(ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        out = self._out
        if out is None:
            return
        try:
            out.write(text)
            out.flush()
        except (OSError, ValueError):  # the terminal is gone; the measurement is not
            self._out = None


class Voice:
    """Says what is heard. `rows` is whether they go to stdout: something else may be wanted there."""

    def __init__(self, *, rows: bool, sides: bool, contexts: bool = False) -> None:
        self._rows = rows
        self._sides = sides
        self._contexts = contexts
        self._live = LiveLine(sys.stderr)
        self._headed: set[str] = set()
        self._began: RunBegan | None = None
        self._first_row = True
        self._waits = ""
        """Who is waited for: an endpoint's line is waited in while a question goes on."""
        self.unheard = False
        """Nobody reads stdout any more."""

    def hear(self, event: BenchEvent) -> None:
        """Say it, where it is worth a line."""
        match event:
            case Waiting(ahead=ahead, holder=holder):
                self._waits = _waiting(ahead, holder)
                self._live.show(self._waits)
            case Resting(seconds=seconds):
                self._live.show(f"resting {units.duration(seconds)}: the idle machine is measured")
            case Loading(side=side):
                self._live.show(f"loading {side.model}")
            case Loaded(side=side, load=load):
                self.head(side)
                self._say(lines.load_line(side, load))
            case RunBegan():
                self._began, self._waits = event, ""
                self._live.show(_asking(event))
            case Ticked():
                if event.ttft_ms is not None:
                    self._waits = ""
                self._live.show(self._waits or _ticking(event, self._began))
            case RunEnded(run=run):
                self._write_row(lines.row(run, sides=self._sides, contexts=self._contexts))
            case Noted(text=text):
                self._say(f"[{one_line(text, 400)}]")
            case _:
                return

    def does(self, text: str) -> None:
        """Say what is done before the bench begins."""
        self._live.show(text)

    def end(self) -> None:
        """Nothing changes any more."""
        self._live.clear()

    def head(self, side: Side) -> None:
        """Say what is measured, once; an endpoint is not loaded."""
        if side.key not in self._headed:
            self._headed.add(side.key)
            self._say(lines.header(side))

    def _say(self, text: str) -> None:
        self._live.clear()
        say(text)

    def _write_row(self, text: str) -> None:
        self._live.clear()
        if not self._rows or self.unheard:
            return
        heads = f"{lines.row_heads(sides=self._sides)}\n" if self._first_row else ""
        self._first_row = False
        try:
            sys.stdout.write(f"{heads}{text}\n")
            sys.stdout.flush()
        except OSError:  # what has to be written at the end says so
            self.unheard = True


def _waiting(ahead: int, holder: str) -> str:
    who = f"{one_line(holder, 60)} has the permit" if holder else "the permit is taken"
    return f"waiting: {who}, {ahead} ahead" if ahead else f"waiting: {who}"


def _asking(event: RunBegan) -> str:
    of = f"run {event.done + 1} of {event.of}" if event.of else f"run {event.done + 1}"
    warmup = ", warm-up" if event.warmup else ""
    return f"{of}{warmup}: {one_line(event.prompt, lines.PROMPT_WIDTH)}, reading"


def _ticking(event: Ticked, began: RunBegan | None) -> str:
    if began is None or not event.tokens:
        return _asking(began) if began else ""
    parts = [_asking(began).removesuffix(", reading")]
    parts.append(units.count(event.tokens, "token"))
    if event.decode_tps is not None:
        parts.append(units.rate(event.decode_tps))
    if event.ttft_ms is not None:
        parts.append(f"TTFT {units.duration(event.ttft_ms / 1000)}")
    return ", ".join(parts)
