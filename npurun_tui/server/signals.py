"""What the engine's side of a request and the server's tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.engine import LoadedModel, Permit
from npurun_tui.engine.messages import Constraint
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Finished, Piece
from npurun_tui.server.asking import Ask, Loading, Queued, Reading
from npurun_tui.server.toolcalls.choice import Tools


@dataclass(frozen=True, slots=True)
class Began:
    """The prompt is made, and the answer comes."""

    queue_ms: float
    load_ms: float
    opened: bool = False
    """The answer begins inside a thought."""
    tools: bool = False
    """The model knows of the tools."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer's end."""

    finished: Finished
    time_up: bool = False


Signal = Queued | Loading | Reading | Began | Piece | Ended


@dataclass(frozen=True, slots=True)
class Held:
    """The permit, with the model loaded."""

    permit: Permit
    model: LoadedModel
    queue_ms: float
    load_ms: float


@dataclass(eq=False)
class Asked:
    """A checked request."""

    ask: Ask
    spec: ModelSpec
    sampler: Sampler
    stops: tuple[str, ...]
    tools: Tools
    constraint: Constraint | None
    who: str
