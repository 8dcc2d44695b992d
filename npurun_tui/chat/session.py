"""One open chat: sending, stopping, regenerating, editing, and keeping all of it.

The session takes the permit, loads the chat's model where another one is loaded, runs the turn, and saves: the user's
message before anything else, the growing answer every two seconds (a dropped SSH connection must not take it), and
the whole when it ends, however it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import INTERRUPTED, Chat, Message, outcome_of
from npurun_tui.engine.engine import LoadedModel
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.surface import AnyEngine, AnyPermit, AnyTurn, Doing
from npurun_tui.engine.transcript import Finished, Piece, Prefill
from npurun_tui.errors import DiskFull, EngineError, NpurunError, StorageError

log = logging.getLogger(__name__)

SAVE_EVERY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody else holds the permit; so many are ahead."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Loading:
    """The chat's model is being loaded."""

    model: str


@dataclass(frozen=True, slots=True)
class Started:
    """The answer's message exists now (its first text came, or it ended without any)."""

    message: Message


@dataclass(frozen=True, slots=True)
class NotSaved:
    """The chat could not be written; it is kept in memory and written with the next save."""

    error: NpurunError


SessionEvent = Waiting | Loading | Prefill | Doing | Started | Piece | Finished | NotSaved
OnSessionEvent = Callable[[SessionEvent], None]
BeforeLoad = Callable[[ModelSpec], Awaitable[None]]
"""Asked before a model is loaded that is not; raises NpurunError where it is not to be."""


class ChatSession:
    """A chat that can be talked to; one answer at a time.

    `spec_of` gives the loadable model of a name, or raises a ModelError; it may read the disk and is called in a
    thread.
    """

    def __init__(
        self,
        chat: Chat,
        engine: AnyEngine,
        library: ChatLibrary,
        spec_of: Callable[[str], ModelSpec],
        *,
        before_load: BeforeLoad | None = None,
    ) -> None:
        self.chat = chat
        self._engine = engine
        self._library = library
        self._spec_of = spec_of
        self._before_load = before_load
        self._prelude: asyncio.Task[tuple[AnyPermit, LoadedModel]] | None = None
        self._turn: AnyTurn | None = None
        self._saving: asyncio.Task[None] | None = None
        self._last_save = 0.0
        self._stopped = False
        self._pieces: list[str] = []
        self._taken_back: list[Message] = []
        self.busy = False
        """True from the question to the end of its answer."""
        self.writing: Message | None = None
        """The answer that is being written; its text so far is `partial`."""

    @property
    def partial(self) -> str:
        """The text so far of the answer that is being written."""
        return "".join(self._pieces)

    def stop(self) -> None:
        """Leave the waiting line, give up loading, or end the answer; what has arrived is kept."""
        if self._stopped:
            return
        self._stopped = True
        if self._turn is not None:
            self._turn.stop()
        elif self._prelude is not None:
            self._prelude.cancel()

    def say(self, text: str) -> None:
        """Add the user's message; `answer` comes next."""
        self.chat.messages.append(Message("user", text))
        self.chat.title_from(text)

    def edit_last(self, text: str) -> None:
        """Put `text` in the last user message's place; what followed it goes."""
        while self.chat.messages:
            message = self.chat.messages.pop()
            self._remove([message])
            if message.role == "user":
                break
        self.say(text)

    def take_back_answer(self) -> None:
        """Have the last user message answered again. What follows it is gone once there is some new text."""
        while self.chat.messages and self.chat.messages[-1].role != "user":
            self._taken_back.insert(0, self.chat.messages.pop())

    def answer(self, on_event: OnSessionEvent) -> Coroutine[object, object, None]:
        """Answer the last message. The session is busy from this call on, so that nobody asks twice.

        Raises:
            EngineError: it is busy already.
        Awaiting the result raises:
            NpurunError: there is no answer, or only the part of one that the chat now holds; the text says why. The
                user's message is kept: calling again tries again.
        """
        if self.busy:
            raise EngineError("The answer is still being written.", mend="Stop it first.")
        self.busy, self._stopped, self._pieces = True, False, []
        return self._answer(on_event)

    async def _answer(self, on_event: OnSessionEvent) -> None:
        try:
            if not self.chat.messages:
                return
            await self.save(on_event)
            async with AsyncExitStack() as stack:
                ready = await self._prepare(stack, on_event)
                if ready is not None and not self._stopped:
                    await self._generate(*ready, on_event)
        finally:
            self.chat.messages += self._taken_back  # no new text came: the old answer stands
            self._taken_back = []
            self.busy = False
            self._turn = self.writing = None

    async def save(self, on_event: OnSessionEvent) -> None:
        """Write the chat now; a failure becomes a `NotSaved` event."""
        try:
            await self._library.save(self.chat)
        except (StorageError, DiskFull) as error:
            on_event(NotSaved(error))

    # -- an answer -------------------------------------------------------------------------

    async def _prepare(
        self, stack: AsyncExitStack, on_event: OnSessionEvent
    ) -> tuple[AnyPermit, LoadedModel] | None:
        """The permit with the model loaded; None where `stop` came first."""
        if self._stopped:
            return None

        async def prelude() -> tuple[AnyPermit, LoadedModel]:
            spec = await asyncio.to_thread(self._spec_of, self.chat.model)
            loaded = self._engine.status.model
            if self._before_load is not None and (loaded is None or loaded.name != spec.name):
                await self._before_load(spec)
            permit = await stack.enter_async_context(
                self._engine.permit("chat", lambda ahead: on_event(Waiting(ahead)))
            )
            loaded = self._engine.status.model
            if loaded is None or loaded.name != spec.name:
                on_event(Loading(spec.name))
            return permit, await permit.load(spec)

        self._prelude = task = asyncio.create_task(prelude(), name="chat prelude")
        try:
            await asyncio.wait({task})
            return None if task.cancelled() else task.result()
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._prelude = None

    async def _generate(
        self, permit: AnyPermit, model: LoadedModel, on_event: OnSessionEvent
    ) -> None:
        answer = Message("assistant", "", outcome=INTERRUPTED)
        pieces = self._pieces

        def begin() -> None:
            if self.writing is None:
                self.writing = answer
                self._remove(self._taken_back)
                self._taken_back = []
                self.chat.messages.append(answer)
                on_event(Started(answer))

        def forward(event: Prefill | Piece | Doing) -> None:
            if isinstance(event, Piece):
                begin()
                pieces.append(event.text)
                self._save_now_and_then(answer, on_event)
            on_event(event)

        self._last_save = time.monotonic()
        self._turn = turn = permit.begin(
            model.context_size, self.chat.conversation(), self.chat.settings.options()
        )
        try:
            finished = await turn.run(forward)
            begin()
            answer.stats = replace(finished.stats, model=model.name)
            answer.outcome = outcome_of(finished.reason, finished.stats, self.partial)
            on_event(finished)
        except NpurunError as error:
            answer.outcome = error.message.rstrip(".")
            raise
        finally:
            answer.content = self.partial
            if self._saving is not None:
                await asyncio.wait({self._saving})
            await self.save(on_event)

    def _save_now_and_then(self, answer: Message, on_event: OnSessionEvent) -> None:
        now = time.monotonic()
        if now - self._last_save < SAVE_EVERY or (self._saving and not self._saving.done()):
            return
        self._last_save = now
        answer.content = self.partial
        self._saving = asyncio.create_task(self.save(on_event), name="chat checkpoint")

    def _remove(self, messages: list[Message]) -> None:
        """Have `messages`, which are no longer in the chat, removed from the database by the next save."""
        self.chat.removed += [message.id for message in messages if message.id is not None]
