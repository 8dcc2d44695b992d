"""The engine of this program as one side of a bench.

It holds the permit for one block at a time, so that a chat can have its turn between two. Before the first question a
conversation that the engine still holds is saved, since each run begins with an empty cache.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from npurun_tui.bench.records import NOT_TIMED, Clock, Load, Outcome, Side
from npurun_tui.bench.target import Measured, OnWait, Progress, Question
from npurun_tui.bench.watching import clock_of
from npurun_tui.engine.dialog import QueryProfile, Sampler
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import BACKEND_LABELS, ModelSpec
from npurun_tui.engine.transcript import Finished, FinishReason, Piece, Prefill, TurnOptions
from npurun_tui.errors import EngineError, NpurunError, UsageError
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.engine.engine import Engine, LoadedModel, Permit
    from npurun_tui.engine.remote import RemoteDialog
    from npurun_tui.engine.transcript import Turn
    from npurun_tui.models.manifest import Manifest

log = logging.getLogger(__name__)

WHO: Final = "bench"
"""How the permit's holder is called."""

WHO_RESTS: Final = f"{WHO}: idle rest"

GREEDY: Final = Sampler(temperature=0, top_k=1)

_IN_BRACKETS: Final = re.compile(r"\(([^()]+)\)$")

_OUTCOMES: Final[dict[FinishReason, Outcome]] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.ABORTED: "aborted",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest knows of a model and its engine does not; empty or 0 where it is not known."""

    model_hash: str = ""
    """SHA-256 of its main file."""
    quant: str = ""
    window: int = 0
    """The context window that it was made for, in tokens."""
    tiers: tuple[int, ...] = ()
    """The windows that its graphs were compiled for, in tokens."""

    @classmethod
    def of(cls, manifest: Manifest) -> Facts:
        """Those of an installed model."""
        hashes, main = manifest.sha256, manifest.files.main
        return cls(
            hashes.get(main) or hashes.get("model", "") or hashes.get("genie_config", ""),
            manifest.quant,
            manifest.context,
            manifest.tiers,
        )


NO_FACTS: Final = Facts()


class EngineTarget:
    """One model in the shared engine. Use it on the engine's loop."""

    def __init__(
        self, engine: Engine, spec: ModelSpec, *, key: str = "a", facts: Facts = NO_FACTS
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._facts = facts
        self._loads = 0
        self._side = Side(
            key,
            spec.name,
            spec.backend,
            BACKEND_LABELS[spec.backend],
            model_hash=facts.model_hash,
            quant=facts.quant,
            context=spec.context,
        )

    @property
    def side(self) -> Side:
        """As far as it is known by now."""
        return self._side

    @property
    def near(self) -> bool:
        """Always."""
        return True

    @property
    def pids(self) -> frozenset[int]:
        """The engine process."""
        pid = self._engine.pid
        return frozenset() if pid is None else frozenset({pid})

    async def check(self, contexts: Sequence[int]) -> None:
        """See `Target.check`. Nothing is waited for: the manifest has been read."""
        for context in contexts:
            self._check(context)

    def _check(self, context: int) -> None:
        facts, name = self._facts, one_line(self._spec.name)
        if context and self._spec.backend == "genie" and facts.tiers:
            if context not in facts.tiers:
                tiers = ", ".join(f"{tier:,}" for tier in facts.tiers)
                raise UsageError(
                    f"{name} has no context window of {context:,} tokens; it has {tiers}."
                )
        elif facts.window and context > facts.window:
            raise UsageError(
                f"{name} has no context window of {context:,} tokens; {facts.window:,} is the largest."
            )

    def _permit(self, who: str, on_wait: OnWait) -> AbstractAsyncContextManager[Permit]:
        def waiting(ahead: int) -> None:
            on_wait(ahead, self._engine.status.holder or "")

        return self._engine.permit(who, waiting, however_long=True)

    @asynccontextmanager
    async def quiet(self, on_wait: OnWait) -> AsyncIterator[None]:
        """Nobody has an answer of this program's engine meanwhile, whichever model is meant."""
        async with self._permit(WHO_RESTS, on_wait):
            yield

    @asynccontextmanager
    async def at_hand(
        self,
        context: int,
        on_wait: OnWait,
        on_load: Callable[[], None],
        *,
        fresh: bool = False,
    ) -> AsyncIterator[EngineAtHand]:
        """See `Target.at_hand`. Every load is one in a new engine process; the first one of a bench counts as cold,
        though the system may have the files in memory from before, which nobody but an administrator can empty."""
        self._check(context)
        spec = replace(self._spec, context=context or self._spec.context)
        async with self._permit(WHO, on_wait) as permit:
            if fresh or not self._engine.holds(spec):
                on_load()
                await permit.unload()  # the old process's end is not this load's
            elif permit.conversations is not None:
                await permit.conversations.keep(permit.dialog)
            before = self._engine.status.model
            loaded = await permit.load(spec)
            if loaded.embeds:
                name = one_line(spec.name)
                raise EngineError(
                    f"{name} makes embeddings and gives no answers, so there is nothing to measure.",
                    mend="Choose a model that chats.",
                )
            self._know(loaded)
            load = None if loaded is before else self._timed(loaded)
            hand = EngineAtHand(permit, loaded, self._side, load)
            try:
                yield hand
            finally:
                await hand.leave()

    def _know(self, loaded: LoadedModel) -> None:
        runtime = _IN_BRACKETS.search(loaded.place)
        self._side = replace(
            self._side,
            device=loaded.place,
            runtime=_runtime(runtime.group(1) if runtime else "", loaded.backend),
            context=loaded.context_size,
        )

    def _timed(self, loaded: LoadedModel) -> Load:
        self._loads += 1
        return Load(self._side.key, self._loads == 1, loaded.load_ms, loaded.context_size)


class EngineAtHand:
    """`target.Measuring` over a permit that is held."""

    def __init__(self, permit: Permit, loaded: LoadedModel, side: Side, load: Load | None) -> None:
        self._permit = permit
        self._loaded = loaded
        self._side = side
        self._load = load

    @property
    def side(self) -> Side:
        """With what the load has told."""
        return self._side

    @property
    def load(self) -> Load | None:
        """What the loading took; None where it was loaded."""
        return self._load

    async def count(self, messages: tuple[ChatMessage, ...]) -> int:
        """Tokens of `messages` in the model's chat template. Raises EngineError."""
        dialog = self._permit.dialog
        return await dialog.count_tokens(await dialog.render(messages))

    async def measure(self, question: Question, progress: Progress) -> Measured:
        """See `Measuring.measure`. The host's clock starts when the question is asked, the cache emptied before that,
        and is read as each token arrives from the engine process."""
        dialog = self._permit.dialog
        if not question.keep:
            await dialog.reset()
        options = TurnOptions(sampler=GREEDY, max_tokens=question.max_tokens, snapshots=False)
        turn = self._permit.begin(self._loaded.context_size, question.messages, options)
        progress.refresh = lambda: _look(turn, progress)
        pieces: list[str] = []

        def hear(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                pieces.append(event.text)

        progress.asked = time.perf_counter()
        finished = await turn.run(hear)
        total_ms = (time.perf_counter() - progress.asked) * 1000
        progress.refresh()
        if self._permit.dialog is not dialog:
            raise EngineError(
                "The engine had to be restarted for this answer, so its times mean nothing."
            )
        return await self._measured(turn, finished, progress, total_ms, "".join(pieces))

    async def _measured(
        self, turn: Turn, finished: Finished, progress: Progress, total_ms: float, text: str
    ) -> Measured:
        profile = turn.profile
        prompt = cached = None
        if profile is not None:
            cached, prompt = profile.cached_tokens, profile.cached_tokens + profile.prompt_tokens
        elif turn.prompt is not None:
            prompt = await self._permit.dialog.count_tokens(turn.prompt)
        outcome = _OUTCOMES[finished.reason]
        return Measured(
            total_ms=total_ms,
            host=clock_of(progress, profile.prompt_tokens if profile else None),
            engine=_engine_clock(profile),
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=progress.tokens,
            outcome="empty" if not progress.tokens and outcome != "aborted" else outcome,
            text=text,
            note=finished.stats.note,
        )

    async def leave(self) -> None:
        """Leave the cache empty, so that nobody saves the bench's answers for a conversation's."""
        with suppress(NpurunError):  # an engine that has gone has nothing in its cache
            dialog: RemoteDialog = self._permit.dialog
            await dialog.reset()


def _look(turn: Turn, progress: Progress) -> None:
    progress.first, progress.last, progress.tokens = turn.first_token, turn.last_token, turn.tokens


def _engine_clock(profile: QueryProfile | None) -> Clock:
    if profile is None:
        return NOT_TIMED
    return Clock(
        profile.ttft_us / 1000 if profile.ttft_us else None,
        profile.prefill_tps or None,
        profile.decode_tps or None,
    )


def _runtime(words: str, backend: str) -> str:
    """`words` with the version where the engine does not say it: that of the wheel, which fixes llama.cpp's."""
    if backend != "llama.cpp":
        return words
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{words} (xllamacpp {version('xllamacpp')})"
    except PackageNotFoundError:
        return words
