"""An endpoint as one side of a bench."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from npurun_tui.attach.http import ServerRefused, is_loopback, send
from npurun_tui.bench.endpoint import ollama, openai
from npurun_tui.bench.endpoint.address import FLAG, Address, address_of
from npurun_tui.bench.endpoint.finding import Found, Listed, choose, find, place_of
from npurun_tui.bench.endpoint.hearing import Hearing
from npurun_tui.bench.endpoint.loading import have_loaded, window_of
from npurun_tui.bench.endpoint.processes import processes_behind
from npurun_tui.bench.records import Load, Side
from npurun_tui.bench.target import Measured, OnWait, Progress, Question
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.errors import NetworkUnavailable, NpurunError, UsageError
from npurun_tui.text import one_line

COUNTS: Final = ("npurun", "llama-server")
"""What is asked for a count: local, and what it has read for the last one stays in its cache."""

NO_TEMPERATURE: Final = "the endpoint samples as it likes: it takes no temperature"

_OTHER_FLAG: Final = "--auth-token"
"""What `attach.http` advises; it is another server's here."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an endpoint is waited for, in seconds."""

    silence: float = 300.0
    """Without text or a word about what it does: it may be loading a model, or reading a long prompt."""
    answer: float = 1800.0
    """For one answer in all."""


class EndpointTarget:
    """An endpoint. Nothing is asked of it before `check` or `at_hand`."""

    def __init__(
        self,
        address: Address | str,
        *,
        key: str = "b",
        wanted: str = "",
        token: str = "",
        flag: str = FLAG,
        patience: Patience | None = None,
    ) -> None:
        """`wanted` is the model that is asked where the address names none and the endpoint has it. `flag` is where a
        user gives the token.

        Raises:
            UsageError: `address` is none.
        """
        self.address = address_of(address, flag=flag) if isinstance(address, str) else address
        self.token = token
        self.patience = patience or Patience()
        self._wanted = wanted
        self._flag = flag
        self._found: Found | None = None
        self._pids: frozenset[int] = frozenset()
        self._loads = 0
        self.refusals: list[str] = []
        """Those that were answered by leaving a field out, which holds for all that is asked afterwards."""
        where = self.address.where
        model = one_line(self.address.model or wanted, 80)
        self._side = Side(key, model, self.address.dialect or "", where)

    @property
    def side(self) -> Side:
        """As far as it is known."""
        return self._side

    @property
    def pids(self) -> frozenset[int]:
        """The processes behind it, where they run on this machine; known from the first `at_hand` on."""
        return self._pids

    @property
    def near(self) -> bool:
        """It is asked at a loopback address: what is behind a tunnel there would be taken for near."""
        return is_loopback(self.address.url)

    async def check(self, contexts: Sequence[int]) -> None:
        """See `Target.check`: a few requests that a server answers at once, and which `at_hand` need not repeat."""
        with self.own_words():
            found, model = await self._find()
            if found.kind == "ollama":  # it loads a model with any window
                return
            window = model.context
            if found.kind == "npurun" and any(contexts):
                window = await window_of(self.address, self.token, model.name) or window
                if not window:  # known when it is loaded
                    return
            for context in contexts:
                self._check(context, window)

    async def _find(self) -> tuple[Found, Listed]:
        """What answers, asked once, and its model that is meant."""
        found = self._found = self._found or await find(self.address, self.token)
        return found, choose(found, self.address, self._wanted)

    def _check(self, context: int, window: int) -> None:
        if context not in (0, window):
            raise _no_window(self.address, window)

    def quiet(self, on_wait: OnWait) -> None:
        """Who else asks there is not ours to say."""

    @asynccontextmanager
    async def at_hand(
        self, context: int, on_wait: OnWait, on_load: Callable[[], None], *, fresh: bool = False
    ) -> AsyncIterator[MeasuringEndpoint]:
        """The endpoint, its model loaded where it can be told to. `fresh` changes nothing: what is loaded elsewhere is
        not ours to unload.

        Raises:
            UsageError: it has no such model or window.
            EngineError, NetworkUnavailable: it cannot be had.
        """
        del fresh
        with self.own_words():
            found, model = await self._find()
            load = await self._loaded(found, model, context, on_load)
            self._pids = await asyncio.to_thread(processes_behind, self.address.url)
        yield MeasuringEndpoint(self, found, model, load, on_wait)

    async def _loaded(
        self, found: Found, model: Listed, context: int, on_load: Callable[[], None]
    ) -> Load | None:
        """What the load took; None where there was none to be timed. The side is told what is known by now."""
        load, window, place = None, model.context, ""
        if found.kind in ("ollama", "npurun"):
            wanted = context if found.kind == "ollama" else 0
            loaded = await have_loaded(self.address, self.token, model.name, wanted, on_load)
            window = loaded.context or window
            if loaded.ms:
                self._loads += 1
                load = Load(self._side.key, self._loads == 1, loaded.ms, window)
        if found.kind == "npurun":
            place = await place_of(self.address, self.token)
        self._check(context, window)
        self._side = replace(
            self._side,
            model=one_line(model.name, 80),
            backend=found.dialect,
            device=f"{place} at {self.address.where}" if place else self.address.where,
            runtime=found.version,
            model_hash=model.digest,
            quant=model.quant,
            context=window,
        )
        return load

    def own_words(self) -> _OwnWords:
        """Errors inside name the flag that this target's token belongs to."""
        return _OwnWords(self._flag)


class MeasuringEndpoint:
    """`Measuring` at an endpoint."""

    def __init__(
        self, target: EndpointTarget, found: Found, model: Listed, load: Load | None, wait: OnWait
    ) -> None:
        self._target = target
        self._found = found
        self._model = model
        self._load = load
        self._on_wait = wait

    @property
    def side(self) -> Side:
        """With all that is known by now."""
        return self._target.side

    @property
    def load(self) -> Load | None:
        """What the loading took, where the endpoint loaded the model when it was told to."""
        return self._load

    async def count(self, messages: tuple[ChatMessage, ...]) -> int | None:
        """Tokens of `messages`, by a question for one token: what an endpoint counts is what it has answered. None
        where that could cost somebody's money, and of what the endpoint does not take: it may be too long. Raises as
        `measure`."""
        if self._found.kind not in COUNTS:
            return None
        try:
            answer = await self.measure(Question(messages, 1, keep=True), Progress())
        except ServerRefused as error:
            if error.status != 400:
                raise
            return None
        return answer.prompt_tokens

    async def measure(self, question: Question, progress: Progress) -> Measured:
        """Ask; a cancellation hangs up, which ends the answer there.

        Raises:
            NetworkUnavailable: it is gone, or silent for too long.
            EngineError: it refuses, fails in the middle, or sends what is no answer.
        """
        with self._target.own_words():
            hearing = await self._asked(question, progress)
        return hearing.measured(question)

    async def _asked(self, question: Question, progress: Progress) -> Hearing:
        """The answer, heard to its end; what a strict server refuses is left out, one field after the other."""
        while True:
            hearing = Hearing(progress, counts_end=self._found.kind != "npurun")
            body = self._body(question)
            for refusal in self._target.refusals:
                body = openai.without(body, refusal) or body
            if "temperature" not in body and self._found.dialect == "openai":
                hearing.notes.append(NO_TEMPERATURE)
            try:
                await self._hear(body, hearing)
            except ServerRefused as error:
                if error.status not in (400, 422) or openai.without(body, error.message) is None:
                    raise
                self._target.refusals.append(error.message)
                continue
            return hearing

    def _body(self, question: Question) -> dict[str, Any]:
        if self._found.dialect == "ollama":
            context = self.side.context if self._found.kind == "ollama" else 0
            return ollama.body_of(self._model.name, question, context)
        knows_more = self._found.kind in ("npurun", "llama-server")
        return openai.body_of(self._model.name, question, knows_more=knows_more)

    async def _hear(self, body: dict[str, Any], hearing: Hearing) -> None:
        target, patience = self._target, self._target.patience
        loop = asyncio.get_running_loop()
        path = ollama.PATH if self._found.dialect == "ollama" else openai.PATH
        hearing.asked()
        try:
            async with (
                asyncio.timeout(patience.answer),
                asyncio.timeout(patience.silence) as silence,
                send("POST", target.address.url, path, target.token, body, hearing.asked) as got,
            ):

                def alive() -> None:
                    silence.reschedule(loop.time() + patience.silence)

                if self._found.dialect == "ollama":
                    await ollama.read(got, hearing, alive)
                else:
                    await openai.read(got, hearing, alive, lambda word: self._told(word, hearing))
        except TimeoutError:
            raise NetworkUnavailable(
                f"The endpoint {target.address.where} does not come to the end of its answer."
            ) from None
        if not (hearing.done and (hearing.reason or hearing.progress.first)):
            raise NetworkUnavailable(
                f"The endpoint {target.address.where} ended the answer in the middle.",
                mend="Ask again when it is back.",
            )

    def _told(self, comment: str, hearing: Hearing) -> None:
        """What this program's own server says while a request waits; anything else is silence."""
        word, _, rest = comment.strip().partition(" ")
        if word == "queued" and rest.isascii() and rest.isdigit() and 0 < len(rest) < 6:
            ahead = int(rest)
            if ahead:
                hearing.waited = True
                self._on_wait(ahead, f"others at {self._target.address.where}")
        elif word == "loading":
            hearing.loaded = True


class _OwnWords:
    """Advice in errors, as this program's bench has it."""

    def __init__(self, flag: str) -> None:
        self._flag = flag

    def __enter__(self) -> None:
        """Nothing has been said yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NpurunError) and _OTHER_FLAG in error.mend:
            error.mend = error.mend.replace(_OTHER_FLAG, self._flag)


def _no_window(address: Address, window: int) -> UsageError:
    has = f"it has one of {window:,} tokens" if window else "it does not say what it has"
    return UsageError(
        f"The window of the endpoint {address.where} cannot be set from here; {has}.",
        mend="Leave --ctx out, or start the endpoint with that window.",
    )
