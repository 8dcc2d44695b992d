"""What the runner needs of whatever measures the machine meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from npurun_tui.bench.records import Energy, Sample


class Meter(Protocol):
    """Samples the machine's load in a thread of its own (`bench.energy.meter`)."""

    def start(self, clock: Callable[[], float], heard: Callable[[Sample], None]) -> None:
        """Begin; `clock` gives the session's seconds, and `heard` is called in the meter's thread."""

    async def stop(self) -> None:
        """End, and wait for the thread's end."""

    def energy(
        self,
        side: str,
        idle: list[tuple[float, float]],
        busy: list[tuple[float, float]],
        tokens: int,
    ) -> Energy | None:
        """What `tokens` tokens have cost in the spans `busy` above those of `idle`; None where that is not known."""

    @property
    def note(self) -> str:
        """Why there is no energy, in words; empty where there is."""

    @property
    def power(self) -> str:
        """`battery`, `mains`, or empty."""
