"""What the Bench tab stands on, handed to it: on this machine, or over a server that the workbench is attached to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npurun_tui.bench.control import BenchControl
    from npurun_tui.bench.history import History
    from npurun_tui.bench.metering import Meter
    from npurun_tui.bench.records import Machine
    from npurun_tui.bench.target import Target
    from npurun_tui.screens.bench_fields import Setup


@dataclass(frozen=True, slots=True)
class BenchParts:
    """All of it belongs to the workbench, and lives on when the tab is left."""

    control: BenchControl
    history: History
    """Its methods block."""
    targets: Callable[[Setup], Awaitable[Sequence[Target]]]
    """The sides of a set-up; raises NpurunError where one cannot be meant, or is an endpoint that does not answer."""
    machine: Callable[[], Awaitable[Machine]]
    """This machine; a second or more the first time."""
    meter: Callable[[Sequence[Target]], Meter | None]
    """What reads this machine's load meanwhile; None where the work is done on another one."""
    installed: Callable[[], Sequence[str]]
    """Names of the models that can be measured; blocks, and may raise NpurunError."""
    remembered_as: str = "bench"
    """The name under which the set-up is kept: another machine has other models."""
