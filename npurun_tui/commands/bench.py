"""`bench NAME`: measure a model, tell it while it goes, and hand on what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from npurun_tui.bench.events import BenchEvent, Ended, RunBegan, RunEnded
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Run, Session
from npurun_tui.commands.bench_files import REPORTS, check_export
from npurun_tui.commands.bench_outcome import Outcome, hand_on
from npurun_tui.commands.bench_voice import Voice
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.speaking import say
from npurun_tui.ending import ending_signals
from npurun_tui.errors import NpurunError, UsageError
from npurun_tui.services import Services

if TYPE_CHECKING:
    from npurun_tui.bench.energy.meter import Meter
    from npurun_tui.bench.exports.csv_export import CsvWriter
    from npurun_tui.bench.target import Target
    from npurun_tui.settings import Paths, Settings

SWEEP: Final = (32, 128, 512, 2048, 8192, 32_768)
ENDPOINT_SWEEP: Final = 4096
"""Tokens: nearly every model that is served has room for so many."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What `bench` was asked for. Empty texts: not wanted."""

    name: str
    plan: Plan
    sweep: bool = False
    """Prompts from 32 tokens up to the window, which is known later."""
    token: str = ""
    """Of the endpoint, where `name` is one."""
    baseline: str = ""
    baseline_token: str = ""
    json: bool = False
    csv: str = ""
    markdown: str = ""
    report: str = ""
    save: bool = False
    title: str = ""

    def check(self) -> None:
        """Before anything is measured, so that no result meets a closed door.

        Raises:
            UsageError: two want stdout, or a file cannot be written to.
        """
        if self.json and self.markdown == "-":
            raise UsageError(
                "JSON and Markdown cannot both go to stdout.",
                mend="Give --markdown a file, or leave out one of the two.",
            )
        if self.title and not self.save:
            raise UsageError("--name is what a kept bench is called.", mend="Add --save.")
        if self.markdown not in ("", "-"):
            from npurun_tui.bench.exports.writing import check_folder

            check_folder(Path(self.markdown))
        if self.report:
            check_export(Path(self.report), REPORTS, force=True)


def bench(request: BenchRequest, paths: Paths, settings: Settings) -> int:
    """Measure; returns the exit status.

    Raises:
        UsageError, ModelError: it cannot begin like this.
        NpurunError: it ended early, or could not be handed on as asked; everything else was.
        Exception: what nobody foresaw, also then after all that was measured has been handed on.
    """
    request.check()
    with ExitStack() as stack:
        ears = Ears(request, _csv(request.csv, stack))
        outcome = asyncio.run(_measured(request, paths, settings, ears))
    if ears.fault is not None:
        outcome.faults.append(ears.fault)
    return _status(outcome)


def _csv(file: str, stack: ExitStack) -> CsvWriter | None:
    if not file:
        return None
    from npurun_tui.bench.exports.csv_export import CsvWriter

    return stack.enter_context(CsvWriter(Path(file)))


async def _measured(request: BenchRequest, paths: Paths, settings: Settings, ears: Ears) -> Outcome:
    services = Services(paths, settings)
    try:
        ran = await _run(request, services, ears)
        outcome = await asyncio.to_thread(hand_on, request, ran.session, services, ran.interrupted)
        outcome.unforeseen = ran.fault or outcome.unforeseen
        return outcome
    finally:
        ears.voice.end()
        await services.aclose()


@dataclass(frozen=True, slots=True)
class _Ran:
    """A bench that has ended."""

    session: Session
    interrupted: bool
    """By Ctrl+C."""
    fault: Exception | None = None
    """Of this program, which ended it."""


async def _run(request: BenchRequest, services: Services, ears: Ears) -> _Ran:
    """Measure. Raises what there is no session for."""
    from npurun_tui.bench.machine import machine_facts
    from npurun_tui.bench.runner import Bench
    from npurun_tui.bench.sides import check_sides

    ctrl_c = Interrupts(*ending_signals())
    fault: Exception | None = None
    try:
        with ctrl_c:
            plan = await asyncio.to_thread(_plan, request, services)
            targets = await asyncio.to_thread(_targets, request, services)
            ears.voice.does("looking whether all that is to be measured is there")
            await check_sides(targets, plan.contexts)
            machine = await asyncio.to_thread(machine_facts)
            bench = Bench(plan, targets, machine=machine, meter=_meter(plan, targets))
            ctrl_c.gently = bench.stop
            ears.listen(targets, bench.stop)
            await bench.run(ears.hear)
    except asyncio.CancelledError:
        if not ctrl_c.came:
            raise
    except Exception as error:  # noqa: BLE001 - raised, once what was measured has been handed on
        fault = error
    finally:
        ears.voice.end()
    if ears.session is None:  # a bench that has begun has its end, whatever happens
        raise fault or Interrupted
    return _Ran(ears.session, ctrl_c.came, fault)


class Interrupted(NpurunError):
    """Ctrl+C, before there was anything to hand on."""

    exit_code = INTERRUPTED_STATUS

    def __init__(self) -> None:
        super().__init__("Interrupted.")


def _plan(request: BenchRequest, services: Services) -> Plan:
    """With the sweep in it, where one is wanted; that reads a manifest. Raises ModelError."""
    from npurun_tui.bench.endpoint import is_address

    if not request.sweep:
        return request.plan
    there = is_address(request.name)  # it does not tell how large a prompt may be
    window = max(request.plan.contexts) or (
        ENDPOINT_SWEEP if there else services.store.get(request.name).manifest.context
    )
    lengths = [length for length in SWEEP if length + max(request.plan.outputs) <= window]
    return replace(request.plan, lengths=tuple(lengths if there else [*lengths, 0]))


def _targets(request: BenchRequest, services: Services) -> list[Target]:
    """Reads manifests, so it blocks. Raises UsageError and ModelError."""
    from npurun_tui.bench.sides import target_of

    first = target_of(request.name, services, key="a", token=request.token, flag="--auth-token")
    targets: list[Target] = [first]
    if request.baseline:
        baseline = target_of(
            request.baseline,
            services,
            key="b",
            wanted=request.name,
            token=request.baseline_token,
        )
        targets.append(baseline)
    return targets


def _meter(plan: Plan, targets: list[Target]) -> Meter | None:
    if not plan.energy:
        return None
    from npurun_tui.bench.energy.here import sources_here
    from npurun_tui.bench.energy.meter import Meter

    return Meter(sources_here(), lambda: frozenset().union(*(target.pids for target in targets)))


class Ears:
    """Hears a bench: each run is told, and appended to the CSV as it ends, so that a bench which is killed has left
    what it measured."""

    def __init__(self, request: BenchRequest, writer: CsvWriter | None) -> None:
        self.voice = Voice(
            rows=not request.json and request.markdown != "-",
            sides=bool(request.baseline),
            contexts=len(request.plan.contexts) > 1,
        )
        self._writer = writer
        self._targets: dict[str, Target] = {}
        self._stop: Callable[[], None] = lambda: None
        self.fault: NpurunError | None = None
        """Why there are no more lines of CSV."""
        self.session: Session | None = None
        """What was found, once the bench has ended."""

    def listen(self, targets: Sequence[Target], stop: Callable[[], None]) -> None:
        """To a bench of `targets`; `stop` ends it."""
        self._targets = {target.side.key: target for target in targets}
        self._stop = stop

    def hear(self, event: BenchEvent) -> None:
        """A reader of stdout that has gone ends the bench; a disk that is full does not."""
        if isinstance(event, RunBegan):
            self.voice.head(self._targets[event.side].side)
        if isinstance(event, RunEnded):
            self._append(event.run)
        if isinstance(event, Ended):
            self.session = event.session
        self.voice.hear(event)
        if self.voice.unheard:
            self._stop()

    def _append(self, run: Run) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write(run, self._targets[run.side].side)
        except NpurunError as error:
            self.fault, self._writer = error, None


def _status(outcome: Outcome) -> int:
    """130 for Ctrl+C, else 0; where something failed the last fault is raised, the others are said."""
    last = outcome.unforeseen
    if last is None and outcome.faults and not outcome.interrupted:
        last = outcome.faults.pop()
    for fault in outcome.faults:
        say(f"npurun-tui: {fault}")
    if last is not None:
        raise last
    return INTERRUPTED_STATUS if outcome.interrupted else 0
