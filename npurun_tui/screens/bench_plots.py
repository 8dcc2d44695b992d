"""What the Bench tab's plots and gauges show, made from runs, ticks and samples. Knows no Textual."""

from __future__ import annotations

from collections.abc import Collection, Reversible, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.screens.bench_rows import side_name
from npurun_tui.widgets.gauges import Gauge
from npurun_tui.widgets.plot_cells import Point, Series

if TYPE_CHECKING:
    from npurun_tui.bench.events import Ticked
    from npurun_tui.bench.records import Run, Sample

SIGNS: Final = {"a": "", "b": "○"}
"""One side's points are dots, the other's are signs: no colour has to tell them apart."""
LATE: Final = 2
"""Samples among which the processor's share is looked for: the one at a bench's end comes right after another."""
HISTORY: Final = 120
"""Samples that a gauge shows of its past."""


def rates_over_time(
    runs: Sequence[Run], ticks: Reversible[Ticked] = (), live: str = ""
) -> list[Series]:
    """Tokens per second by seconds, one series for each side. Warm-ups are left out.

    `ticks` are of the run that goes, which is one of the side `live`; a kept session has its runs' rates only.
    """
    found = []
    for key in sorted({*_sides(runs), *([live] if live else [])}):
        points: list[Point] = []
        for run in runs:
            rate = run.host.decode_tps
            if run.side == key and run.counts and rate is not None:
                began = run.began_s + (run.host.ttft_ms or 0.0) / 1000
                end = run.began_s + run.total_ms / 1000
                points += [(began, rate), (end, rate), (end, None)]
        if key == live:
            points += _growing(runs, ticks)
        found.append(Series(side_name(key), points, SIGNS.get(key, "")))
    return [one for one in found if one.points]


def _growing(runs: Sequence[Run], ticks: Reversible[Ticked]) -> list[Point]:
    """The ticks after the last run's end: they are of the one that goes."""
    end = runs[-1].began_s + runs[-1].total_ms / 1000 if runs else 0.0
    points: list[Point] = []
    for tick in reversed(ticks):
        if tick.at_s < end:
            break
        if tick.decode_tps is not None:
            points.append((tick.at_s, tick.decode_tps))
    return points[::-1]


def first_by_length(runs: Sequence[Run]) -> list[Series]:
    """Time to the first token in seconds by the prompt's length, one cloud for each side."""
    found = []
    for key in _sides(runs):
        points: list[Point] = sorted(
            (float(run.prompt_tokens), run.host.ttft_ms / 1000)
            for run in runs
            if run.side == key and run.counts and run.prompt_tokens and run.host.ttft_ms is not None
        )
        found.append(Series(side_name(key), points, SIGNS.get(key, "") or "●"))
    return [one for one in found if one.points]


def _sides(runs: Sequence[Run]) -> list[str]:
    return sorted({run.side for run in runs})


def gauges(samples: Collection[Sample]) -> list[Gauge]:
    """How the machine stands; what this machine does not tell has no words. Nothing before the first sample."""
    if not samples:
        return []
    recent = list(islice(samples, max(0, len(samples) - HISTORY), None))
    last = recent[-1]
    return [
        Gauge("CPU", _percent(_cpu(recent[-LATE:])), [s.cpu_percent for s in recent], 100.0),
        Gauge("Memory", _megabytes(last.rss_mb), [s.rss_mb for s in recent]),
        Gauge("Power", _unit(last.watts, "W"), [s.watts for s in recent]),
        Gauge("Temp", _unit(last.temperature_c, "°C"), [s.temperature_c for s in recent]),
        Gauge("NPU", _percent(last.npu_percent), [s.npu_percent for s in recent], 100.0),
        *_battery(recent),
    ]


def _cpu(samples: Sequence[Sample]) -> float | None:
    """The last that is known: of the time to a sample that comes right after another no share can be told."""
    known = (sample.cpu_percent for sample in reversed(samples))
    return next((share for share in known if share is not None), None)


def _battery(recent: Sequence[Sample]) -> list[Gauge]:
    """Few machines that are measured have one, and none misses it."""
    charge = recent[-1].battery_percent
    if charge is None:
        return []
    return [Gauge("Battery", _percent(charge), [s.battery_percent for s in recent], 100.0)]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.1f} {unit}"


def _megabytes(value: float | None) -> str:
    return "" if value is None else units.size(value * 1_000_000)
