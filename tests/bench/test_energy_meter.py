"""The thread that asks: what goes wrong with a source, with the machine, and at the end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from npurun_tui.bench.energy.families import FIRST, Families
from npurun_tui.bench.energy.here import Nowhere, sources_here
from npurun_tui.bench.energy.meter import Meter
from npurun_tui.bench.energy.rapl import Rapl
from npurun_tui.bench.energy.sleeping import slept
from npurun_tui.bench.energy.source import BATTERY, Counter, Readings, Source, SourceAbsent
from npurun_tui.bench.records import Sample

INTERVAL = 0.01


class Scripted:
    """A source that answers as `script` says for its n-th reading."""

    def __init__(
        self, script: Callable[[int], Readings], name: str = "Rail", covers: str = "the machine"
    ) -> None:
        self.name = name
        self.covers = covers
        self.script = script
        self.reads = 0
        self.closed = 0
        self.pids: Collection[int] = ()

    def open(self) -> None:
        """Always there."""

    def read(self, pids: Collection[int]) -> Readings:
        self.reads += 1
        self.pids = pids
        return self.script(self.reads)

    def close(self) -> None:
        self.closed += 1


class Session:
    """A meter on a clock of its own, which a source's reading may move."""

    def __init__(self, *sources: Source, asleep: Callable[[], float | None] = lambda: 0.0) -> None:
        self.offset = 0.0
        self.heard: list[Sample] = []
        self.threads: set[int] = set()
        self.meter = Meter(sources, lambda: {os.getpid()}, interval=INTERVAL, asleep=asleep)
        self._began = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def clock(self) -> float:
        return time.perf_counter() - self._began + self.offset

    def hear(self, sample: Sample) -> None:
        self.threads.add(threading.get_ident())
        self.heard.append(sample)
        self.tell()

    def tell(self) -> None:
        """Something is new; from any thread."""
        self._loop.call_soon_threadsafe(self._news.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        if self.meter._thread is None:
            self.meter.start(self.clock, self.hear)
        async with asyncio.timeout(10):
            while not condition():
                await self._news.wait()
                self._news.clear()

    async def run(self, samples: int) -> None:
        await self.until(lambda: len(self.heard) >= samples)
        await self.meter.stop()


def rail(reads: int) -> Readings:
    return Readings(watts=5.0 + reads % 3)


# --- the ordinary ------------------------------------------------------------------------------


async def test_samples_come_in_another_thread_and_the_first_source_tells_the_power() -> None:
    first, second = Scripted(rail), Scripted(lambda _: Readings(watts=99.0), "Other")
    session = Session(Scripted(lambda _: Readings(cpu_percent=7.0), "Load", ""), first, second)
    await session.run(5)
    assert threading.get_ident() not in session.threads
    assert session.heard == session.meter.samples
    assert {sample.cpu_percent for sample in session.heard} == {7.0}
    assert {sample.watts for sample in session.heard} <= {5.0, 6.0, 7.0}
    times = [sample.at_s for sample in session.heard]
    assert times == sorted(times)
    assert (first.closed, second.closed) == (1, 1)
    assert os.getpid() in first.pids
    assert session.meter.notes == []


async def test_energy_is_by_the_first_source_that_can_tell() -> None:
    session = Session(
        Scripted(lambda _: Readings(), "Mute"),
        Scripted(lambda reads: Readings(watts=4.0 + 6.0 * (reads > 20) + 0.1 * (reads % 4))),
    )
    await session.run(45)
    at = [sample.at_s for sample in session.heard]
    found = session.meter.energy("a", [(at[0], at[19])], [(at[21], at[41])], 50)
    assert found is None  # 0.2 s are no rest
    assert "Rail told nothing of the idle machine" in session.meter.note
    # The same readings a hundred times as slow.
    trace = session.meter._traces["Rail"]
    trace._pieces = [[((moment - at[0]) * 100, watts) for moment, watts in trace._pieces[0]]]
    scaled = [(moment - at[0]) * 100 for moment in at]
    found = session.meter.energy("a", [(scaled[0], scaled[19])], [(scaled[21], scaled[41])], 50)
    assert found is not None
    assert found.source == "Rail: the machine"
    assert found.busy_watts - found.idle_watts == pytest.approx(6.0, abs=0.2)


async def test_the_power_shown_is_that_of_one_source() -> None:
    """A package and a whole machine in turns would be a curve of nothing."""

    def gapped(reads: int) -> Readings:
        return Readings() if reads % 5 == 0 else Readings(joules=reads * 0.05)

    session = Session(
        Scripted(lambda _: Readings(joules=7.0), "Dead"),
        Scripted(gapped, "Package"),
        Scripted(lambda _: Readings(watts=500.0), "Machine"),
    )
    await session.run(30)
    shown = [sample.watts for sample in session.heard[10:]]
    assert 500.0 not in shown
    assert None in shown
    assert any(watts is not None for watts in shown)


async def test_nothing_readable_is_listed_with_what_was_looked_for() -> None:
    session = Session(
        Nowhere("RAPL", "the package", "the kernel shows no counters"),
        Nowhere(BATTERY, "the machine", "there is none"),
        Nowhere("NPU", "", "no counter"),
    )
    await session.run(2)
    assert session.meter.energy("a", [(0.0, 1.0)], [(1.0, 2.0)], 10) is None
    assert session.meter.note == (
        "Not measurable here: RAPL: the kernel shows no counters; Battery: there is none."
    )
    assert session.meter.power == ""
    assert all(sample.watts is None for sample in session.heard)


async def test_ready_comes_with_the_first_word_of_every_source_of_power() -> None:
    slow = Scripted(lambda reads: Readings(watts=3.0) if reads > 8 else Readings())
    session = Session(Scripted(rail, "Other"), slow)
    session.meter.start(session.clock, session.hear)
    await session.meter.ready()
    assert slow.reads >= 9
    assert session.meter.note == ""
    await session.meter.stop()


async def test_a_meter_that_never_began_ends_too() -> None:
    await Session().meter.stop()


# --- the charger -------------------------------------------------------------------------------


async def test_on_mains_a_battery_alone_is_refused_in_words() -> None:
    battery = Scripted(lambda _: Readings(on_mains=True, battery_percent=80.0), BATTERY)
    session = Session(battery)
    await session.run(3)
    assert session.meter.power == "mains"
    assert session.meter.energy("a", [(0.0, 1.0)], [(1.0, 2.0)], 10) is None
    assert "unplug the charger" in session.meter.note
    assert session.heard[0].battery_percent == 80.0


async def test_on_mains_a_rail_still_tells() -> None:
    battery = Scripted(lambda _: Readings(on_mains=True), BATTERY)
    session = Session(Scripted(rail), battery)
    await session.run(3)
    assert session.meter.note == ""
    assert session.heard[-1].watts is not None


async def test_the_charger_is_plugged_in_meanwhile() -> None:
    def script(reads: int) -> Readings:
        away = Readings(on_mains=False, watts=9.0 + reads % 2)
        return away if reads <= 10 else Readings(on_mains=True)

    session = Session(Scripted(script, BATTERY))
    await session.run(20)
    assert session.meter.power == "mains"
    assert [note for note in session.meter.notes if note.startswith("The charger was plugged in")]
    assert session.heard[5].watts is not None
    assert session.heard[15].watts is None
    assert session.meter.energy("a", [(0.0, 1.0)], [(1.0, 2.0)], 10) is None
    assert "unplug the charger" in session.meter.note


# --- a source that fails -----------------------------------------------------------------------


async def test_a_source_that_fails_three_times_is_dropped_and_the_others_go_on() -> None:
    def failing(reads: int) -> Readings:
        if reads > 4:
            raise ZeroDivisionError("division by\x1b[2J zero")
        return Readings(watts=1.0)

    bad, good = Scripted(failing, "Bad"), Scripted(rail, "Good")
    session = Session(bad, good)
    await session.run(15)
    assert bad.reads == 7
    assert bad.closed >= 1
    assert good.reads >= 15
    (note,) = session.meter.notes
    assert note.startswith("Bad could not be read any more after 3 errors (division by")
    assert "\x1b" not in note
    assert session.heard[10].watts in (5.0, 6.0, 7.0)


async def test_two_errors_are_forgiven() -> None:
    def hiccup(reads: int) -> Readings:
        if reads % 3:
            raise OSError(5, "Input/output error")
        return Readings(watts=1.0)

    source = Scripted(hiccup)
    session = Session(source)
    await session.run(20)
    assert source.reads >= 20
    assert session.meter.notes == []


async def test_a_battery_that_vanishes() -> None:
    def script(reads: int) -> Readings:
        if reads > 5:
            raise SourceAbsent("the battery was taken out")
        return Readings(on_mains=False, watts=9.0 + reads)

    battery = Scripted(script, BATTERY)
    session = Session(battery)
    await session.run(10)
    assert battery.reads == 6
    assert session.meter.notes == ["Battery has gone (the battery was taken out)."]
    assert session.heard[-1].watts is None
    assert session.meter.energy("a", [(0.0, 1.0)], [(1.0, 2.0)], 10) is None
    assert "Battery: the battery was taken out" in session.meter.note


async def test_what_turns_out_not_to_be_there_is_no_news() -> None:
    def never(reads: int) -> Readings:
        raise SourceAbsent("Windows shows no battery")

    session = Session(Scripted(never, BATTERY))
    await session.run(3)
    assert session.meter.notes == []
    assert session.meter.note == "Not measurable here: Battery: Windows shows no battery."


async def test_a_source_whose_opening_fails_is_not_the_end() -> None:
    class Broken(Scripted):
        def open(self) -> None:
            raise KeyError("name")

    session = Session(Broken(rail, "Broken"), Scripted(rail))
    await session.run(3)
    assert session.heard[-1].watts is not None


async def test_processes_that_are_not_known_leave_the_machine() -> None:
    def pids() -> set[int]:
        raise LookupError("no engine")

    session = Session()
    session.meter = Meter([Scripted(rail)], pids, interval=INTERVAL, asleep=lambda: 0.0)
    await session.run(3)
    assert session.meter.notes == ["The engine's processes are not known (no engine)."]


# --- sleep -------------------------------------------------------------------------------------


async def test_a_gap_is_a_new_beginning() -> None:
    session = Session()

    def jump(reads: int) -> Readings:
        if reads == 6:
            session.offset += 3600
        return Readings(joules=float(reads if reads <= 6 else reads + 1_000_000))

    source = Scripted(jump)
    session.meter = Meter([source], set, interval=INTERVAL, asleep=lambda: None)
    await session.run(12)
    (note,) = session.meter.notes
    assert note == "The machine slept for 1 h 00 min: that time is left out of the energy."
    before, after = session.meter._traces["Rail"].stretches()
    watts = [stretch.watts for piece in (before, after) for stretch in piece]
    assert min(watts) > 1  # nor did the gap's hour pass at work
    assert max(watts) < 1e5  # the million joules of the gap are nobody's


async def test_a_sleep_that_the_clock_slept_through() -> None:
    total = [0.0]

    def nap(reads: int) -> Readings:
        if reads == 5:
            total[0] += 60
        return rail(reads)

    session = Session(Scripted(nap), asleep=lambda: total[0])
    await session.run(10)
    assert session.meter.notes == [
        "The machine slept for 1 min 00 s: that time is left out of the energy."
    ]
    assert session.meter._conditions.gaps[0].asleep


async def test_a_short_sleep_is_a_new_beginning_too() -> None:
    """Two seconds are enough for a processor's counter to begin at 0 again."""
    total = [0.0]
    counter = Counter(262_143_328_850)

    def nap(reads: int) -> Readings:
        total[0] += 2.0 if reads == 6 else 0.0
        raw = 3_000_000 * reads + (200_000_000_000 if reads < 6 else 0)
        joules = counter.total(raw)
        return Readings() if joules is None else Readings(joules=joules / 1e6)

    session = Session(Scripted(nap), asleep=lambda: total[0])
    await session.run(12)
    assert session.meter.notes == [
        "The machine slept for 2.0 s: that time is left out of the energy."
    ]
    pieces = session.meter._traces["Rail"].stretches()
    joules = [each.watts * (each.end - each.start) for piece in pieces for each in piece]
    assert max(joules) < 1000  # taken for a wrap, it would be 47 kJ


@pytest.mark.skipif(sys.platform not in ("linux", "darwin", "win32"), reason="tells no sleep")
def test_this_machine_tells_how_long_it_has_slept() -> None:
    before = slept()
    time.sleep(0.05)
    after = slept()
    assert before is not None
    assert after is not None
    assert before >= -0.001
    assert after - before == pytest.approx(0, abs=0.02)  # time that it was awake does not count


async def test_a_slow_source_is_no_sleep() -> None:
    session = Session()

    def slow(reads: int) -> Readings:
        session.offset += 20 if reads == 5 else 0
        return rail(reads)

    session.meter = Meter([Scripted(slow)], set, interval=INTERVAL, asleep=lambda: 0.0)
    await session.run(10)
    assert session.meter.notes == ["Nothing was sampled for 20.0 s."]
    assert not session.meter._conditions.gaps[0].asleep


# --- the end -----------------------------------------------------------------------------------


async def test_a_source_that_hangs_holds_up_neither_the_loop_nor_the_end() -> None:
    released = threading.Event()

    def hang(reads: int) -> Readings:
        if reads == 3:
            session.tell()
            released.wait()
        return Readings()

    stuck, other = Scripted(hang, "Stuck"), Scripted(rail)
    session = Session(other, stuck)
    await session.until(lambda: stuck.reads == 3)
    began = time.perf_counter()
    await session.meter.stop()
    took = time.perf_counter() - began
    assert 1.9 < took < 4
    assert session.meter.notes == ["Stuck does not answer, and was left behind."]
    assert other.closed == 1
    assert stuck.closed == 0
    assert threading.current_thread() is threading.main_thread()
    thread = next(each for each in threading.enumerate() if each.name == "meter")
    heard, reads, notes = len(session.heard), other.reads, list(session.meter.notes)
    released.set()
    await asyncio.to_thread(thread.join, 5)
    # What answers after the end is closed, and neither asks the others, which are, nor tells anybody.
    assert not thread.is_alive()
    assert stuck.closed == 1
    assert (len(session.heard), other.reads, session.meter.notes) == (heard, reads, notes)


async def test_the_end_is_prompt_however_long_the_interval() -> None:
    session = Session()
    session.meter = meter = Meter([Scripted(rail)], set, interval=3600, asleep=lambda: 0.0)
    await session.until(lambda: bool(session.heard))
    began = time.perf_counter()
    await meter.stop()
    await meter.stop()
    assert time.perf_counter() - began < 1
    assert len(session.heard) == 2  # one more, so that a counter's last step is not lost


async def test_a_listener_whose_loop_has_ended_is_no_fault() -> None:
    session = Session(Scripted(rail))

    def deaf(sample: Sample) -> None:
        session.tell()
        raise RuntimeError("Event loop is closed")

    session.meter.start(time.perf_counter, deaf)
    await session.until(lambda: len(session.meter.samples) >= 3)
    await session.meter.stop()
    assert session.heard == []


# --- from files to joules ----------------------------------------------------------------------


async def test_joules_of_a_counter_in_a_file_that_wraps_meanwhile(tmp_path: Path) -> None:
    """4 W at rest, 11 W at work, and a counter that begins again in the middle of the work."""
    if sys.platform == "win32":
        pytest.skip("Windows has no file names with a colon")
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    reach = 17_000_000
    (zone / "max_energy_range_uj").write_text(f"{reach}\n")
    rest, work = (0.2, 1.4), (1.9, 3.4)  # a busy machine's late writes lie in between

    def write(at: float) -> None:
        joules = 4 * at + 7 * max(0.0, min(at, work[1]) - work[0])
        (zone / "new").write_text(f"{round(joules * 1e6) % reach}\n")
        (zone / "new").replace(zone / "energy_uj")

    write(0)
    session = Session()
    session.meter = Meter([Rapl(tmp_path)], set, interval=0.05, asleep=lambda: 0.0)
    session.meter.start(session.clock, session.hear)
    while (at := session.clock()) < work[1] + 0.2:
        await asyncio.to_thread(write, at)
        await asyncio.sleep(0.005)
    await session.meter.stop()
    found = session.meter.energy("a", [rest], [work], 30)
    assert found is not None
    assert session.meter.notes == []
    assert found.source == "RAPL: the processor package"
    assert found.idle_watts == pytest.approx(4, abs=0.3)
    assert found.joules_per_token == pytest.approx(7 * 1.5 / 30, rel=0.1)
    assert found.uncertainty < 0.3 * found.joules_per_token
    assert max(sample.watts or 0 for sample in session.heard) < 30  # no spike where it wraps


# --- this machine ------------------------------------------------------------------------------


async def test_this_machines_own_sources() -> None:
    session = Session()
    session.meter = meter = Meter(sources_here(), lambda: {os.getpid()}, interval=0.2)
    await session.run(4)
    await meter.ready()
    heard = session.heard
    assert any(sample.cpu_percent is not None for sample in heard)
    assert all(sample.rss_mb and sample.rss_mb > 5 for sample in heard)
    assert meter.cost_ms > 0
    assert meter.notes == []
    if meter.note:
        assert meter.note.startswith("Not measurable here: ")
    else:
        assert heard[-1].watts is not None


def test_children_are_looked_for_ever_more_seldom() -> None:
    now = [0.0]
    heads = {os.getpid()}
    families = Families(lambda: heads, lambda: now[0])
    looks, last = [], families()
    assert os.getpid() in last
    for step in range(1, 150):
        now[0] = step * FIRST / 10
        if (found := families()) is not last:
            looks.append(round(now[0], 6))
            last = found
    assert looks == [FIRST, 3 * FIRST, 7 * FIRST]
    heads = set()
    assert families() == frozenset()


def test_what_a_process_starts_is_of_its_family() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        now = [0.0]
        families = Families(lambda: {process.pid}, lambda: now[0])
        for second in range(1, 200):
            now[0] = second * 60.0
            if len(families()) == 2:
                break
            time.sleep(0.02)
        assert len(families()) == 2
        process.communicate(b"\n")
