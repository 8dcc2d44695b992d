"""The status bar's words, made from the engine's status and the running downloads. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.server.clients import holder_words
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus
    from npurun_tui.models.jobs import PullJob

SIGNS: Final = {
    "stopped": "○",
    "loading": "◐",
    "ready": "●",
    "generating": "▶",
    "failed": "✗",
    "crashed": "✗",
}
"""One sign for each state, so that no state is told by colour alone."""


def describe(status: EngineStatus, place: str = "", *, short: bool = False) -> str:
    """The engine in one line: sign and state, model, backend in words, who holds the permit, how many wait.

    Without a model `place` says what one for the NPU would run on. A reason stands last: it is long, and what must
    always be seen would be cut off behind it. `short` leaves out where the model runs, which the tabs tell too.
    """
    reason = one_line(status.reason, 160)
    return "  ".join(
        part
        for part in (_state(status), _model(status, place, short=short), _permit(status), reason)
        if part
    )


def _state(status: EngineStatus) -> str:
    loading = f" {one_line(status.loading, 40)}" if status.loading else ""
    return f"{SIGNS[status.state]} {status.state}{loading}"


def _model(status: EngineStatus, place: str, *, short: bool) -> str:
    if status.model is None:
        here = f" ({one_line(place, 30)})" if place and not short else ""
        return "" if status.loading else f"no model{here}"
    name = one_line(status.model.name, 40)
    return name if short else f"{name}  {one_line(status.model.place, 40)}"


def _permit(status: EngineStatus) -> str:
    waiting = f", {len(status.waiting)} waiting" if status.waiting else ""
    return f"permit: {one_line(holder_words(status.holder or 'free'), 30)}{waiting}"


def describe_pulls(jobs: Iterable[PullJob], *, short: bool = False) -> str:
    """The pulls that run or wait in a few words; empty where there are none. `short` leaves the name out."""
    jobs = [job for job in jobs if job.state.open]
    running = [job for job in jobs if job.state == "running"]
    if not jobs:
        return ""
    speed = sum(job.speed for job in running)
    rate = f"  {units.speed(speed):>9}" if speed else ""  # what stands before it must not jump
    queued = f", {len(jobs) - len(running)} queued" if len(jobs) > len(running) else ""
    if len(running) != 1:
        return f"↓ {units.count(len(running), 'pull')}{queued}{rate}"
    [job] = running
    progress = job.progress
    share = f" {progress.done * 100 // progress.total} %" if progress and progress.total else ""
    name = "" if short else f" {one_line(job.entry.name, 30)}"
    return f"↓{name}{share}{queued}{rate}"
