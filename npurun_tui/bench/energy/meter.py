"""The thread that asks the sources, and what came of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Final

from npurun_tui.bench.energy.account import Asked, account
from npurun_tui.bench.energy.conditions import Conditions
from npurun_tui.bench.energy.families import Families
from npurun_tui.bench.energy.sleeping import slept
from npurun_tui.bench.energy.source import BATTERY, Readings, Source, SourceAbsent
from npurun_tui.bench.energy.traces import Span, Trace
from npurun_tui.bench.records import Energy, Sample
from npurun_tui.text import one_line

INTERVAL: Final = 0.5
ERRORS: Final = 3
"""In a row, after which a source is given up."""
READY: Final = 15.0
"""Seconds that a source may take to its first reading: a cold PowerShell's."""
PATIENCE: Final = 2.0
"""Seconds that `stop` waits for a source that does not answer."""

_SAMPLED: Final = frozenset(each.name for each in fields(Sample)) - {"at_s"}


class Meter:
    """Samples of the machine's load between `start` and `stop`, and the energy between them.

    One daemon thread asks all sources in turn, so that a source which hangs keeps neither the event loop nor the
    program's end. What it has is written by that thread alone and only grows; others read it at any time.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        pids: Callable[[], Collection[int]],
        *,
        interval: float = INTERVAL,
        asleep: Callable[[], float | None] = slept,
    ) -> None:
        """`pids` is called in the thread at each sample, and should cost microseconds. `interval` is seconds."""
        self._sources = sources
        self._pids = Families(pids)
        self._interval = interval
        self._halt = threading.Event()
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        self._clock: Callable[[], float] = time.perf_counter
        self.samples: list[Sample] = []
        self._heard: Callable[[Sample], None] = self.samples.append
        self._alive: list[Source] = []
        self._busy_with: Source | None = None
        self._left = threading.Event()
        self._errors: dict[str, int] = {}
        self._traces: dict[str, Trace] = {}
        self._conditions = Conditions(self._note, asleep)
        self._absent: list[tuple[str, str]] = []
        self._refused: list[str] = []
        self._spent = 0.0
        self.notes: list[str] = []
        """What a person should know of how the sampling went."""

    # --- from the event loop -------------------------------------------------------------------

    def start(self, clock: Callable[[], float], heard: Callable[[Sample], None]) -> None:
        """Begin, and return at once. `clock` is the session's; `heard` gets each sample in the meter's own thread."""
        self._clock, self._heard = clock, heard
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="meter", daemon=True)
        self._thread.start()

    async def ready(self) -> None:
        """Return once every source that tells power has told something, so that `note` says whether there will be
        energy; after 15 seconds in any case."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), READY)

    async def stop(self) -> None:
        """End. Takes as long as a reading under way, and at most two seconds; also twice, and before `start`."""
        self._halt.set()
        thread = self._thread
        if thread is None:
            return
        await asyncio.to_thread(thread.join, PATIENCE)
        if thread.is_alive() and self._thread is not None:
            self._thread = None
            self._left.set()
            hanging = self._busy_with
            if hanging is not None:
                self._note(f"{hanging.name} does not answer, and was left behind.")
            # What hangs cannot be closed from here; the others may hold a child process.
            await asyncio.to_thread(_close, [each for each in self._alive if each is not hanging])

    @property
    def power(self) -> str:
        """`battery`, `mains`, or empty where nothing tells."""
        return {None: "", True: "mains", False: "battery"}[self._conditions.mains]

    @property
    def cost_ms(self) -> float:
        """Processor time of one sample, milliseconds, in the mean; 0 before the first."""
        return 1000 * self._spent / len(self.samples) if self.samples else 0.0

    @property
    def note(self) -> str:
        """Why there is no energy, in words; empty where there may be."""
        if self._refused:
            return f"Not measurable here: {'; '.join(dict.fromkeys(self._refused))}."
        if any(trace.stretches() for trace in list(self._traces.values())):
            return ""
        if why := self._why_none():
            return f"Not measurable here: {why}."
        return ""

    def energy(
        self, side: str, idle: Sequence[Span], busy: Sequence[Span], tokens: int
    ) -> Energy | None:
        """What the busy spans cost above the idle ones, by the first source that can tell; None, with the reason in
        `note`, where none can. Spans are seconds on the session's clock."""
        asked = Asked(side, idle, busy, tokens)
        refused: list[str] = []
        for trace in list(self._traces.values()):
            found = account(asked, trace, list(self._conditions.gaps), self._interval)
            if isinstance(found, Energy):
                return found
            if trace.stretches():
                refused.append(found)
        if why := self._why_none():
            refused.append(why)
        self._refused += refused or ["no source told any power"]
        return None

    def _why_none(self) -> str:
        """Of the machine, not of one bench; empty where something tells power."""
        tellers = [source for source in self._alive if source.covers]
        if self._conditions.mains and tellers and all(source.name == BATTERY for source in tellers):
            return "on mains only the battery would tell the power, and it gives none; unplug the charger to measure it"
        if tellers or not self._conditions.looked:
            return ""
        return "; ".join(f"{name}: {why}" for name, why in self._absent) or "nothing tells power"

    # --- in the meter's thread -----------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._open()
            due = time.monotonic()
            while not self._halt.is_set():
                self._sample()
                if all(each.name in self._told for each in self._alive if each.covers):
                    self._be_ready()
                # A late sample delays the next ones rather than having them crowd.
                due = max(due + self._interval, time.monotonic())
                self._halt.wait(due - time.monotonic())
            self._sample()  # so that a counter's last step is not lost
        finally:
            self._be_ready()
            _close(self._alive)

    def _be_ready(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._ready.set)

    def _open(self) -> None:
        for source in self._sources:
            if self._halt.is_set():
                return
            self._busy_with = source
            try:
                source.open()
            except SourceAbsent as absent:
                self._miss(source, str(absent))
            except Exception as error:  # noqa: BLE001 - a source's fault is that source's end, never the bench's
                self._miss(source, _words(error))
            else:
                self._alive.append(source)
                if source.covers:
                    self._traces[source.name] = Trace(source.name, source.covers)
            self._busy_with = None

    def _miss(self, source: Source, why: str) -> None:
        with suppress(Exception):
            source.close()
        if source.covers:
            self._absent.append((source.name, one_line(why)))

    def _sample(self) -> None:
        # What hung may answer after all: by then the others are closed and all has been told.
        if self._left.is_set():
            return
        before = time.thread_time()
        at = self._clock()
        self._new_beginning(at)
        found = Readings()
        pids = self._processes()
        for source in tuple(self._alive):
            told = self._ask(source, pids)
            if self._left.is_set():
                return
            if told is not None:
                self._keep(source, told, found)
        if "on_mains" in found:
            self._conditions.charger(at, found["on_mains"])
        values = {name: value for name, value in found.items() if name in _SAMPLED}
        sample = Sample(at_s=at, **{**values, "watts": self._watts()})  # type: ignore[arg-type]
        self.samples.append(sample)
        self._spent += time.thread_time() - before
        with suppress(RuntimeError):  # the event loop that it is for has ended
            self._heard(sample)

    def _watts(self) -> float | None:
        """By the first source that tells power, and by no other in between, which may measure something else."""
        traces = (self._traces.get(each.name) for each in self._alive)
        return next((each.last_watts for each in traces if each is not None and each.tells), None)

    def _new_beginning(self, at: float) -> bool:
        began = self._conditions.gap(at)
        if began:
            for trace in self._traces.values():
                trace.cut()
        return began

    def _processes(self) -> Collection[int]:
        try:
            return self._pids()
        except Exception as error:  # noqa: BLE001 - who has no processes to tell of still has a machine
            self._note(f"The engine's processes are not known ({_words(error)}).")
            return ()

    def _ask(self, source: Source, pids: Collection[int]) -> Readings | None:
        self._busy_with = source
        try:
            told = source.read(pids)
        except SourceAbsent as absent:
            self._lose(source, absent)
            return None
        except Exception as error:  # noqa: BLE001 - a source's fault is that source's end, never the bench's
            self._count_error(source, error)
            return None
        finally:
            self._busy_with = None
        self._errors.pop(source.name, None)
        if told:
            self._told.add(source.name)
        return told

    def _lose(self, source: Source, absent: SourceAbsent) -> None:
        self._alive.remove(source)
        if trace := self._traces.get(source.name):
            trace.cut()
        if source.name in self._told:
            self._note(f"{source.name} has gone ({one_line(str(absent))}).")
        self._miss(source, str(absent))

    def _count_error(self, source: Source, error: Exception) -> None:
        if source.name in self._traces:
            self._traces[source.name].cut()
        self._errors[source.name] = self._errors.get(source.name, 0) + 1
        if self._errors[source.name] < ERRORS:
            return
        self._alive.remove(source)
        why = _words(error)
        self._note(f"{source.name} could not be read any more after {ERRORS} errors ({why}).")
        if source.covers:
            self._absent.append((source.name, why))
        with suppress(Exception):
            source.close()

    def _keep(self, source: Source, told: Readings, found: Readings) -> None:
        at = self._clock()
        # Of a reading with a sleep in its middle nobody knows when it was.
        if (trace := self._traces.get(source.name)) and not self._new_beginning(at):
            trace.add(at, watts=told.get("watts"), joules=told.get("joules"))
        for name, value in told.items():
            found.setdefault(name, value)  # type: ignore[misc]

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(said or type(error).__name__, 120)


def _close(sources: Sequence[Source]) -> None:
    for source in sources:
        with suppress(Exception):
            source.close()
