"""How the Models tab says how far something is, and how large. Knows no Textual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.models.jobs import PullJob
    from npurun_tui.screens.model_local import LocalJob

BAR_WIDTH: Final = 6
DETAIL_BAR_WIDTH: Final = 10
"""With this one the amounts, the speed and the time left of a large pull are one line of a terminal of 80 columns."""

WAITING: Final = "… waiting"
"""How the State column begins where nothing comes."""
_SPEED: Final = 9
"""Cells that a speed takes: `11.2 MB/s`."""
_PHASES: Final = {
    "resolving": "looking up",
    "downloading": "downloading",
    "verifying": "verifying",
    "unpacking": "unpacking",
    "done": "finishing",
}


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, full at 1."""
    full = min(width, max(0, int(share * width)))
    return "━" * full + "─" * (width - full)


# --- pulls -------------------------------------------------------------------------------------


def pull_cell(job: PullJob) -> str:
    """A running pull in the State column."""
    progress = job.progress
    measured = progress is not None and progress.phase == "downloading" and bool(progress.total)
    if waits(job):
        return f"{WAITING} {_percent(job):>2} %" if measured else f"{WAITING}…"
    if progress is None or not measured:
        return f"↓ {_phase(job)}…"
    return f"{bar(progress.done / (progress.total or 1), BAR_WIDTH)} {_percent(job):>3} %"


def waits(job: PullJob) -> bool:
    """It runs, and nothing comes: the server is silent, or the pull waits to ask it again."""
    return bool(job.progress and job.progress.note) or job.silent


def progress_line(job: PullJob) -> str:
    """A running pull in lines: phase, bar and percentage; amount; speed and time left."""
    progress = job.progress
    if progress is not None and progress.note:
        return one_line(progress.note, 200)
    if progress is None or not progress.total:
        return f"{_phase(job).capitalize()}…"
    lines = _bar_lines(_phase(job), progress.done, progress.total)
    if waits(job):
        lines.append(f"Nothing has come for {units.whole_seconds(job.still)}.")
    elif progress.phase == "downloading" and job.speed > 0:
        lines.append(_speed_line(job.speed, job.eta))
    return "\n".join(lines)


def pull_pace(job: PullJob) -> str:
    """As `pace`; of one that waits, how long nothing has come."""
    if waits(job):
        return f"silent for {_short_time(job.still)}" if job.silent else ""
    return pace(job)


def pace(job: PullJob | LocalJob) -> str:
    """Speed and time left in as few cells as a column has, the time always at one place; empty while not known."""
    if not job.speed:
        return ""
    left = f"  {_short_time(job.eta)}" if job.eta is not None else ""
    return f"{units.speed(job.speed):>{_SPEED}}{left}"


def _percent(job: PullJob) -> int:
    progress = job.progress
    return progress.done * 100 // progress.total if progress and progress.total else 0


def _phase(job: PullJob) -> str:
    return _PHASES[job.progress.phase] if job.progress else "starting"


# --- hashing and importing ---------------------------------------------------------------------


def local_cell(job: LocalJob, word: str) -> str:
    """Hashing or importing in the State column."""
    if not job.total:
        return f"↻ {word}…"
    return f"{bar(job.done / job.total, BAR_WIDTH)} {_share(job):>3} %"


def local_line(job: LocalJob, word: str) -> str:
    """Hashing or importing in lines, as `progress_line` has a pull."""
    if not job.total:
        return f"{word.capitalize()}…"
    lines = _bar_lines(word, job.done, job.total)
    if job.speed:
        lines.append(_speed_line(job.speed, job.eta))
    return "\n".join(lines)


def _share(job: LocalJob) -> int:
    return min(100, job.done * 100 // job.total)


# --- shared ------------------------------------------------------------------------------------


def _bar_lines(word: str, done: int, total: int) -> list[str]:
    full = bar(done / total, DETAIL_BAR_WIDTH)
    return [
        f"{word.capitalize()}  {full} {min(100, done * 100 // total)} %",
        f"{units.size(done)} of {units.size(total)}",
    ]


def _speed_line(speed: float, eta: float | None) -> str:
    left = f"  {_time_left(eta)}" if eta is not None else ""
    return f"{units.speed(speed)}{left}"


def _time_left(seconds: float) -> str:
    return f"{units.whole_seconds(seconds)} left"


def _short_time(seconds: float) -> str:
    """One unit, rounded up: `5 s`, `12 min`, `3 h`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 60 else f"{-(-minutes // 60)} h"
