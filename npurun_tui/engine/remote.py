"""The dialog as the parent process has it: the contract's calls, awaitable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec

from npurun_tui.engine.dialog import (
    Action,
    Ending,
    Opening,
    QueryProfile,
    Sampler,
    SentenceCode,
    Start,
    Status,
)
from npurun_tui.engine.held import EMPTY, Held, after_query
from npurun_tui.engine.message_json import encode_constraint, encode_extras, encode_messages
from npurun_tui.engine.messages import ChatMessage, Constraint, PromptExtras
from npurun_tui.engine.plain import clean
from npurun_tui.engine.process import HostProcess

P = ParamSpec("P")

ABORT_GRACE: Final = 15.0
"""Seconds that an aborted query has to end before the process is ended. Prefill on a wedged NPU ignores aborts."""


NO_EXTRAS: Final = PromptExtras()

TEXTS_AT_ONCE: Final = 4
"""Texts of one call for embeddings: between two calls a cancellation is heard, and the silence starts anew."""

RENDER_GRACE: Final = 1.0
"""Seconds that rendering goes on after somebody has stopped waiting for it; it takes milliseconds."""


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """How a query ended, with the engine's figures."""

    status: Status
    generated: int
    """Token callbacks."""
    occupancy: int
    """Tokens in the KV cache afterwards."""
    profile: QueryProfile | None
    """The engine's figures of this very query; None where it has none."""
    ending: Ending | None = None
    """What ended it; None where the engine cannot tell."""
    stop_sequence: str = ""
    """Which stop sequence ended it; empty where none did or the engine cannot tell."""


class RemoteDialog:
    """One loaded model in one engine process. Every call may raise EngineCrashed or GenieError.

    `busy` is told when a query starts and ends. `snapshots_of` names what snapshots of this dialog can be restored
    into; it is empty where a snapshot may not be chosen by a guess (`Dialog.rewinds_restored`).
    """

    def __init__(
        self,
        host: HostProcess,
        *,
        silence: float,
        busy: Callable[[bool], None] | None = None,
        snapshots_of: str = "",
    ) -> None:
        self._host = host
        self._silence = silence
        self._busy = busy or (lambda _running: None)
        self.snapshots_of = snapshots_of
        self.held: Held | None = EMPTY
        """The text in the cache; None where it is not known."""
        self.last: QueryOutcome | None = None
        """How the last query ended, also where nobody waited for it any more; None where it is not known."""

    async def render(
        self, messages: Sequence[ChatMessage], extras: PromptExtras = NO_EXTRAS
    ) -> str:
        """The conversation as the model's own chat template writes it, with the assistant's turn opened.

        Raises:
            TemplateInvalid: the template refuses it.
            EngineError: a tool, an argument or a variable is no JSON.
        """
        said, more = encode_messages(messages), encode_extras(extras)
        _, answer = self._host.begin("render", silence=self._silence, messages=said, extras=more)
        try:
            text: str = await asyncio.shield(answer)
        except asyncio.CancelledError:
            # A template is a program; one without end would keep the dialog until the watchdog comes.
            await asyncio.wait({answer}, timeout=RENDER_GRACE)
            if not answer.done():
                self._host.kill("its chat template did not end")
            answer.add_done_callback(_seen)
            raise
        return text

    async def configure(
        self,
        sampler: Sampler,
        stop: Sequence[str] = (),
        max_tokens: int | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        """Set sampler, stop sequences, max tokens and the constraint, or none, for the queries that follow."""
        await self._call(
            "configure",
            sampler=asdict(sampler),
            stop=[clean(text) for text in stop],
            max_tokens=max_tokens,
            constraint=encode_constraint(constraint),
        )

    async def query(
        self,
        text: str,
        code: SentenceCode,
        on_token: Callable[[str, int], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> QueryOutcome:
        """Run one query; `stop` set, or this task cancelled, aborts it within a token.

        When it returns or raises, the query has ended and the dialog can be used again (or its process is gone). An
        exception of a callback ends the query too, and is raised here.
        """
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()
        before, self.held, self.last = self.held, None, None
        said: list[str] = []

        def hear(piece: str, kind: int) -> None:
            said.append(piece)
            if on_token is not None:
                on_token(piece, kind)

        self._busy(True)
        number, answer = self._host.begin(
            "query",
            silence=self._silence,
            on_token=_guard(hear, failed),
            on_progress=_guard(on_progress, failed),
            text=text,
            code=int(code),
        )
        stopping = asyncio.ensure_future(stop.wait() if stop is not None else loop.create_future())
        try:
            await asyncio.wait({answer, stopping, failed}, return_when=asyncio.FIRST_COMPLETED)
            await self._abort(number, answer)
            if failed.done():
                failed.result()
            return _outcome(await asyncio.shield(answer))
        except asyncio.CancelledError:
            await self._abort_cancelled(number, answer)
            raise
        finally:
            stopping.cancel()
            self._busy(False)
            if answer.done() and answer.exception() is None:
                outcome = self.last = _outcome(answer.result())
                ended = (outcome.status, outcome.generated, outcome.occupancy)
                self.held = after_query(before, text, code, "".join(said), ended)

    async def _abort(self, number: int, answer: asyncio.Future[Any]) -> None:
        """Have the query ended, where it is not yet."""
        if answer.done():
            return
        self._host.signal(number, Action.ABORT)
        done, _ = await asyncio.wait({answer}, timeout=ABORT_GRACE)
        if not done:
            self._host.kill("it did not stop its answer when asked to")
            await asyncio.wait({answer})
        answer.exception()  # a failed answer of an aborted query is nobody's to read: mark it as seen

    async def _abort_cancelled(self, number: int, answer: asyncio.Future[Any]) -> None:
        try:
            await self._abort(number, answer)
        except asyncio.CancelledError:
            # Cancelled twice: somebody is in a hurry, and a dialog with a query on it must not be left behind.
            self._host.kill("its answer was given up")
            answer.add_done_callback(_seen)
            raise

    async def opening(self, text: str) -> tuple[Start, bool]:
        """How a turn whose whole prompt is `text` should begin, and whether a rewound query without a token is to be
        believed."""
        answer = await self._call("opening", text=text)
        return Start(Opening(answer["how"]), answer["why"]), answer["trusts_empty"]

    async def reset(self) -> None:
        """Empty the KV cache."""
        self.held = None
        await self._call("reset")
        self.held = EMPTY

    async def rebuild(self) -> None:
        """Empty the KV cache by the surest way short of a new process; seconds on the NPU."""
        self.held = None
        await self._call("rebuild")
        self.held = EMPTY

    async def occupancy(self) -> int:
        """Tokens in the KV cache."""
        tokens: int = await self._call("occupancy")
        return tokens

    async def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`."""
        tokens: list[int] = await self._call("tokenize", text=text)
        return tokens

    async def count_tokens(self, text: str) -> int:
        """How many tokens `text` is; only the number crosses the pipe."""
        count: int = await self._call("count", text=clean(text))
        return count

    async def embed(
        self, texts: Sequence[str], *, truncate: bool = False
    ) -> tuple[list[list[float]], int]:
        """`(a vector of unit length for each of texts, tokens read in all)`.

        A text that is longer than the window is cut with `truncate`.

        Raises:
            ContextOverflow: one is too long; no vector is given.
            GenieError: the model makes no embeddings, or a text is empty.
        """
        vectors: list[list[float]] = []
        tokens = 0
        self._busy(True)
        try:
            for start in range(0, len(texts), TEXTS_AT_ONCE):
                some = [clean(text) for text in texts[start : start + TEXTS_AT_ONCE]]
                answer = await self._call("embed", texts=some, truncate=truncate)
                vectors += answer["vectors"]
                tokens += answer["tokens"]
        finally:
            self._busy(False)
        return vectors, tokens

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`."""
        text: str = await self._call("detokenize", tokens=list(tokens))
        return text

    async def save(self, folder: Path) -> None:
        """Write the KV cache into the new folder `folder`."""
        await self._call("save", folder=str(folder))

    async def restore(self, folder: Path) -> None:
        """Bring back what `save` wrote, the place in the random stream included."""
        self.held = None
        await self._call("restore", folder=str(folder), random=True)

    async def adopt(self, folder: Path, held: Held) -> None:
        """Bring back the cache that `save` wrote when it held `held`; the random stream stays as it is."""
        self.held = None
        await self._call("restore", folder=str(folder), random=False)
        self.held = held

    def _call(self, operation: str, **arguments: Any) -> Awaitable[Any]:
        return self._host.call(operation, silence=self._silence, **arguments)


def _seen(answer: asyncio.Future[Any]) -> None:
    """Nobody waits for this answer any more: asyncio need not complain that its error was never read."""
    if not answer.cancelled():
        answer.exception()


def _guard(callback: Callable[P, None] | None, failed: asyncio.Future[None]) -> Callable[P, None]:
    """`callback` for the event loop, where an exception would only be logged, once for each token."""

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        if callback is None or failed.done():
            return
        try:
            callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again on the caller's own stack
            failed.set_exception(error)

    return call


def _outcome(document: dict[str, Any]) -> QueryOutcome:
    profile, ending = document["profile"], document["ending"]
    return QueryOutcome(
        Status(document["status"]),
        document["generated"],
        document["occupancy"],
        QueryProfile(**profile) if profile else None,
        Ending(ending) if ending else None,
        document["stop_sequence"],
    )
