"""What a pull says of itself while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The steps of a pull, in order. VERIFYING comes first where an earlier part is checked before it goes on."""

    RESOLVING = "resolving"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    UNPACKING = "unpacking"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is. `done` and `total` are bytes of this phase; `total` None where it has no measure."""

    phase: Phase
    done: int = 0
    total: int | None = None
    resumed_from: int = 0
    """Bytes that an earlier pull had fetched already."""
    note: str = ""
    """Why nothing moves, while it waits to try again; one sentence, else empty."""


class Meter:
    """The figures of one running pull. Worker threads write them, the event loop reads them.

    Each is one number or one reference, so a reader sees an old or a new value and never a torn one.
    """

    def __init__(self) -> None:
        self.phase = Phase.RESOLVING
        self.done = 0
        self.total: int | None = None
        self.resumed_from = 0
        self.note = ""

    def enter(self, phase: Phase, total: int | None = None, done: int = 0) -> None:
        """Begin a phase."""
        self.phase, self.total, self.done, self.note = phase, total, done, ""

    def snapshot(self) -> PullProgress:
        """The figures now."""
        return PullProgress(self.phase, self.done, self.total, self.resumed_from, self.note)
