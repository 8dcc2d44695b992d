"""What a bench tells while it goes. All are told on the event loop that runs it, in order."""

from __future__ import annotations

from dataclasses import dataclass

from npurun_tui.bench.records import Load, Run, Sample, Session, Side


@dataclass(frozen=True, slots=True)
class Waiting:
    """For the permit."""

    ahead: int
    holder: str
    """Who has it, in words; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Resting:
    """The idle machine is measured."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Loading:
    """A side's model is being loaded."""

    side: Side
    context: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """It is. `side` has now what could not be known before."""

    side: Side
    load: Load


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A question is asked."""

    side: str
    prompt: str
    context: int
    repeat: int
    warmup: bool
    turn: int
    done: int
    """Runs that have ended."""
    of: int
    """Runs in all; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """The answer grows; told some times a second."""

    at_s: float
    """On the session's clock."""
    tokens: int
    ttft_ms: float | None
    decode_tps: float | None
    """Since the last one, for a plot of the rate over time; None where too few tokens came."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A row."""

    run: Run


@dataclass(frozen=True, slots=True)
class Sampled:
    """The machine's load."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a person should know; it is in `Session.notes` too."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event."""

    session: Session


BenchEvent = (
    Waiting | Resting | Loading | Loaded | RunBegan | Ticked | RunEnded | Sampled | Noted | Ended
)
