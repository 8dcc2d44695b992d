"""What a conversation needs of an engine, wherever that is: in this program, or behind a server that already runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus, LoadedModel
    from npurun_tui.engine.messages import ChatMessage
    from npurun_tui.engine.permit import OnWait
    from npurun_tui.engine.spec import ModelSpec
    from npurun_tui.engine.transcript import Finished, Piece, Prefill, TurnOptions


@dataclass(frozen=True, slots=True)
class Doing:
    """What an answer waits for, in words; an engine that can count says it as `Prefill`."""

    words: str


class AnyTurn(Protocol):
    """One answer: `run` it once."""

    def stop(self) -> None:
        """End the answer soon; `run` then returns with `ABORTED`."""

    async def run(self, on_event: Callable[[Prefill | Piece | Doing], None]) -> Finished:
        """Generate. Raises NpurunError; the pieces that came before are valid."""


class AnyPermit(Protocol):
    """The right to have something answered."""

    async def load(self, spec: ModelSpec) -> LoadedModel:
        """Have the model at hand. Raises EngineError, ModelError."""

    def begin(
        self, context_size: int, messages: Sequence[ChatMessage], options: TurnOptions
    ) -> AnyTurn:
        """An answer to `messages`. Raises EngineError where there is nothing to answer."""


class AnyEngine(Protocol):
    """An engine as the Chat tab and the status bar know it."""

    @property
    def status(self) -> EngineStatus:
        """The state right now."""

    def subscribe(self, listener: Callable[[EngineStatus], None]) -> Callable[[], None]:
        """Call `listener` on the event loop at each change; returns the way to unsubscribe."""

    def permit(
        self, who: str, on_wait: OnWait | None = None
    ) -> AbstractAsyncContextManager[AnyPermit]:
        """The permit for the length of the block; `on_wait` hears how many are ahead."""

    async def aclose(self) -> None:
        """End what this engine has begun."""
