"""One query from its text to its status: plan, prefill, generate, and what the conversation is afterwards."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.engine.cpu import sampling
from npurun_tui.engine.cpu.constraining import Constraints
from npurun_tui.engine.cpu.generation import Generation, Piece
from npurun_tui.engine.cpu.planning import Conversation, Plan, Planner
from npurun_tui.engine.cpu.stops import StopFilter
from npurun_tui.engine.cpu.stream import (
    CompletionStream,
    End,
    Progress,
    RequestRefused,
)
from npurun_tui.engine.dialog import (
    Ending,
    OnProgress,
    OnText,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)

_STATUS: Final = {
    Ending.ABORT: Status.WARNING_ABORTED,
    Ending.WINDOW: Status.WARNING_CONTEXT_EXCEEDED,
}

PREFILL_ONLY: Final = (SentenceCode.BEGIN, SentenceCode.CONTINUE)


@dataclass(slots=True)
class Settings:
    """What persists from query to query."""

    stops: tuple[str, ...] = ()
    max_tokens: int | None = None
    sampler: Sampler = field(default_factory=Sampler)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told of a query afterwards."""

    profile: QueryProfile | None = None
    ending: Ending | None = None
    stop_sequence: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One query's arguments."""

    text: str
    code: SentenceCode
    on_text: OnText | None
    on_progress: OnProgress | None
    started: float
    """`time.perf_counter()` at the call."""

    def end(self, code: SentenceCode) -> None:
        """The terminal callback; a query that only prefills has none."""
        if self.on_text is not None and self.code not in PREFILL_ONLY:
            self.on_text("", code)


class QueryRunner:
    """Runs queries on one conversation. `run` may be left by any exception of a callback; the conversation is then
    what had been generated until that."""

    def __init__(
        self,
        planner: Planner,
        conversation: Conversation,
        settings: Settings,
        constraints: Constraints,
        *,
        context: int,
        end_tokens: AbstractSet[int],
        on_end: Callable[[Outcome], None],
    ) -> None:
        """`on_end` is told what a query did and how its generation ended, before its terminal callback."""
        self._planner = planner
        self._conversation = conversation
        self._settings = settings
        self._constraints = constraints
        self._context = context
        self._end_tokens = end_tokens
        self._on_end = on_end

    def run(self, query: Query, stream: CompletionStream, probe: CompletionStream) -> Status:
        """Run `query` over `stream`; `probe` is for trying its constraint.

        Raises:
            GenieError: -8, the constraint cannot be enforced. The conversation is as before.
            ServerFailure: llama.cpp failed. What had been generated is kept.
        """
        plan = self._planner.plan(query.text, query.code, self._conversation)
        room = self._context - len(plan.prompt)
        if room < 0:
            return self._overflow(query)
        try:
            if query.code in PREFILL_ONLY:
                return self._prefill(query, plan, stream)
            if not self._constraints.proven:
                self._constraints.prove(plan.prompt.tokens[: max(1, plan.cached)], probe)
            return self._generate(query, plan, stream, room)
        except RequestRefused as refusal:
            # Only in the last two tokens of a window as long as the model was trained for: there llama.cpp's own
            # edge comes before ours.
            if refusal.is_overflow:
                return self._overflow(query)
            raise

    def _overflow(self, query: Query) -> Status:
        self._on_end(Outcome(ending=Ending.WINDOW))
        query.end(SentenceCode.END)
        return Status.WARNING_CONTEXT_EXCEEDED

    # --- prefill only --------------------------------------------------------------------------

    def _prefill(self, query: Query, plan: Plan, stream: CompletionStream) -> Status:
        progress = Progress(len(plan.prompt), plan.cached, plan.cached)
        if len(plan.prompt) > plan.cached:
            for event in stream.events(_request(plan, 0)):
                if isinstance(event, Progress):
                    progress = event
                    if query.on_progress is not None:
                        query.on_progress(
                            event.processed - event.cached, event.total - event.cached
                        )
        profile = QueryProfile(progress.processed - progress.cached, progress.cached, 0, 0, 0)
        self._on_end(Outcome(profile, Ending.ABORT if stream.cancelled else None))
        if stream.cancelled and progress.processed < len(plan.prompt):
            self._forget(query, plan)
        else:
            self._advance(query, plan)
        return Status.WARNING_ABORTED if stream.cancelled else Status.SUCCESS

    # --- generate ------------------------------------------------------------------------------

    def _generate(self, query: Query, plan: Plan, stream: CompletionStream, room: int) -> Status:
        settings = self._settings
        wanted = None if settings.max_tokens is None else max(1, settings.max_tokens)
        # One more than there is room for: the last token is sampled but never enters the cache.
        limit = room + 1 if wanted is None else min(wanted, room + 1)
        seed = self._conversation.random.next_seed()
        generation = Generation(
            stream,
            _request(plan, limit)
            | sampling.request_fields(settings.sampler, seed)
            | self._constraints.fields,
            StopFilter(settings.stops),
            limit=limit,
            end_tokens=self._end_tokens,
            on_text=query.on_text,
            on_progress=query.on_progress,
        )
        ending = None
        try:
            ending = generation.run()
        finally:
            self._keep(query, plan, generation, ending)
        if ending == Ending.LENGTH and generation.count != wanted:
            ending = Ending.WINDOW
        self._on_end(Outcome(_profile(query, plan, generation), ending, generation.stop_sequence))
        query.end(SentenceCode.END)
        return _STATUS.get(ending, Status.SUCCESS)

    def _keep(
        self, query: Query, plan: Plan, generation: Generation, ending: Ending | None
    ) -> None:
        """Let the conversation hold what was prefilled and generated. `ending` None: an exception is on its way."""
        if not generation.first_at and ending in (None, Ending.ABORT):
            self._forget(query, plan)
            return
        pieces = generation.kept_pieces()
        if ending is None:
            pieces = _up_to_unknown(
                pieces
            )  # to ask the server now could raise over the first exception
        segments = self._planner.answer(pieces)
        self._advance(query, plan)
        if segments and ending in (None, Ending.ABORT, Ending.LENGTH) and not generation.lost_end:
            self._conversation.pending = segments.pop()
        self._conversation.record.extend(segments)

    def _advance(self, query: Query, plan: Plan) -> None:
        """The whole prompt is in the cache."""
        conversation = self._conversation
        conversation.record = plan.prompt
        conversation.pending = None
        conversation.queries = 1 if query.code == SentenceCode.REWIND else conversation.queries + 1

    def _forget(self, query: Query, plan: Plan) -> None:
        """The prefill was broken off: of the prompt, the cache surely holds what it held before."""
        conversation = self._conversation
        conversation.record = conversation.record.cut(plan.cached)
        if query.code == SentenceCode.REWIND:
            conversation.pending = None


def _request(plan: Plan, limit: int) -> dict[str, Any]:
    """A completion request. The last chunk's echo of the prompt and of 60 settings is not asked for."""
    return {
        "prompt": plan.prompt.tokens,
        "n_predict": limit,
        "stream": True,
        "return_tokens": True,
        "return_progress": True,
        "cache_prompt": True,
        "id_slot": 0,
        "response_fields": ["stop_type", "tokens_predicted", "timings"],
    }


def _up_to_unknown(pieces: list[Piece]) -> list[Piece]:
    for index, piece in enumerate(pieces):
        if piece.count > 1:
            return pieces[:index]
    return pieces


def _profile(query: Query, plan: Plan, generation: Generation) -> QueryProfile:
    end: End | None = generation.end
    progress = generation.progress
    if not progress.total:  # aborted before llama.cpp had begun: nothing was prefilled
        progress = Progress(len(plan.prompt), plan.cached, plan.cached)
    first = generation.first_at
    return QueryProfile(
        prompt_tokens=end.prefilled if end else progress.processed - progress.cached,
        cached_tokens=end.cached if end else progress.cached,
        generated_tokens=generation.count,
        ttft_us=round((first - query.started) * 1e6) if first else 0,
        generation_us=round((generation.last_at - first) * 1e6) if first else 0,
    )
