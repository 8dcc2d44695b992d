"""What OpenAI's routes answer. Field order and names are those of OpenAI's reference; `timings` is llama-server's."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from npurun_tui import __version__
from npurun_tui.engine.messages import ToolCall
from npurun_tui.engine.transcript import TurnStats
from npurun_tui.server.collected import Collected
from npurun_tui.server.jsontext import encoded

FINGERPRINT: Final = f"fp_npurun_{__version__}"


def _fingerprint() -> str:
    """A function's default is not in `/openapi.json`, which anybody may read; this one tells the version."""
    return FINGERPRINT


LEAST: Final = 0.01
"""Milliseconds: below this it is the rounding of the figures."""

Finish = Literal["stop", "length", "tool_calls"]


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens."""

    cached_tokens: int


class CompletionDetails(msgspec.Struct):
    """Of the answer's tokens."""

    reasoning_tokens: int


class Usage(msgspec.Struct):
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | UnsetType = UNSET
    completion_tokens_details: CompletionDetails | UnsetType = UNSET


class Timings(msgspec.Struct):
    """llama-server's block; milliseconds, and tokens per second. What the engine did not count is left out."""

    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float
    cache_n: int | UnsetType = UNSET
    prompt_n: int | UnsetType = UNSET
    prompt_ms: float | UnsetType = UNSET
    """Of reading alone: `prompt_n` / `prompt_per_second`."""
    prompt_per_token_ms: float | UnsetType = UNSET
    prompt_per_second: float | UnsetType = UNSET
    restore_ms: float | UnsetType = UNSET
    """Ours: what it took to have the model and its saved cache ready, where that was needed. With `prompt_ms` it is
    the time to the first token."""


class FunctionCall(msgspec.Struct):
    """A call's function; the arguments are a JSON text."""

    name: str
    arguments: str


class CallAnswer(msgspec.Struct, kw_only=True):
    """A tool call."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AnswerMessage(msgspec.Struct, kw_only=True):
    """The answer's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[CallAnswer] | UnsetType = UNSET


class ChatChoice(msgspec.Struct, kw_only=True):
    """The one choice."""

    index: int = 0
    message: AnswerMessage
    finish_reason: Finish
    logprobs: None = None


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A whole answer of a chat."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str = msgspec.field(default_factory=_fingerprint)
    choices: list[ChatChoice]
    usage: Usage | UnsetType = UNSET
    timings: Timings


class TextChoice(msgspec.Struct, kw_only=True):
    """One completed prompt."""

    index: int = 0
    text: str
    finish_reason: Finish
    logprobs: None = None


class TextCompletion(msgspec.Struct, kw_only=True):
    """A whole completion."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str = msgspec.field(default_factory=_fingerprint)
    choices: list[TextChoice]
    usage: Usage | UnsetType = UNSET
    timings: Timings


def counted(stats: TurnStats) -> bool:
    """Whether the engine has told what it read. No prompt has 0 tokens: where it says so it has not counted."""
    return stats.prompt_tokens > 0


def usage_of(stats: TurnStats, reasoning: int | None) -> Usage | None:
    """The usage, None where it is not known; `reasoning` tokens are left out where they are not known."""
    if not counted(stats):
        return None
    return Usage(
        stats.prompt_tokens,
        stats.completion_tokens,
        stats.prompt_tokens + stats.completion_tokens,
        PromptDetails(stats.cached_tokens),
        UNSET if reasoning is None else CompletionDetails(reasoning),
    )


def reasoning_tokens(stats: TurnStats, *, thought: bool, answered: bool) -> int | None:
    """Tokens that were thought. Counts are the engine's, which counts the answer whole: where there were thoughts and
    an answer their share is not known."""
    if not thought:
        return 0
    return None if answered else stats.completion_tokens


def timings_of(stats: TurnStats) -> Timings:
    """llama-server's block from the turn's figures. The rate of decoding counts the tokens after the first."""
    timings = Timings(
        predicted_n=stats.completion_tokens,
        predicted_ms=max(stats.completion_tokens - 1, 0) * _inverse(stats.decode_tps),
        predicted_per_token_ms=_inverse(stats.decode_tps),
        predicted_per_second=stats.decode_tps,
    )
    if counted(stats):
        timings.cache_n = stats.cached_tokens
        timings.prompt_n = stats.prefilled_tokens
        timings.prompt_ms = reading = _reading_ms(stats)
        timings.prompt_per_token_ms = _inverse(stats.prefill_tps)
        timings.prompt_per_second = stats.prefill_tps
        if stats.ttft_ms - reading > LEAST:
            timings.restore_ms = stats.ttft_ms - reading
    return timings


def _reading_ms(stats: TurnStats) -> float:
    """Of the time to the first token, the prompt's; a cache that was brought back is in `ttft_ms` too."""
    if stats.prefill_tps > 0:
        return stats.prefilled_tokens * 1000 / stats.prefill_tps
    return stats.ttft_ms


def _inverse(per_second: float) -> float:
    return 1000 / per_second if per_second > 0 else 0.0


def summed(stats: list[TurnStats]) -> TurnStats:
    """Several answers' figures as one's: counts add up where each is known, rates are those of the sums."""
    if len(stats) == 1:
        return stats[0]
    prefilled = sum(each.prefilled_tokens for each in stats)
    reading = sum(_reading_ms(each) for each in stats)
    after_first = sum(max(each.completion_tokens - 1, 0) for each in stats)
    decode_ms = sum(
        max(each.completion_tokens - 1, 0) * _inverse(each.decode_tps) for each in stats
    )
    return TurnStats(
        prompt_tokens=sum(each.prompt_tokens for each in stats) if all(map(counted, stats)) else 0,
        cached_tokens=sum(each.cached_tokens for each in stats),
        prefilled_tokens=prefilled,
        completion_tokens=sum(each.completion_tokens for each in stats),
        ttft_ms=sum(each.ttft_ms for each in stats),
        prefill_tps=prefilled * 1000 / reading if reading else 0.0,
        decode_tps=after_first * 1000 / decode_ms if decode_ms else 0.0,
        total_ms=sum(each.total_ms for each in stats),
        occupancy=stats[-1].occupancy,
        context_size=stats[-1].context_size,
    )


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as JSON text."""
    return encoded(dict(call.arguments)).decode()


def call_answer(call: ToolCall) -> CallAnswer:
    """A call as chat completions have it."""
    return CallAnswer(id=call.id, function=FunctionCall(call.name, arguments_text(call)))


def chat_completion(id_: str, created: int, model: str, answer: Collected) -> ChatCompletion:
    """A whole answer. With tool calls and no text the content is null."""
    stats = answer.done.stats
    thinking = answer.thinking or UNSET
    message = AnswerMessage(
        content=answer.text or (None if answer.calls else ""),
        reasoning_content=thinking,
        reasoning=thinking,
        tool_calls=[call_answer(call) for call in answer.calls] or UNSET,
    )
    reasoning = reasoning_tokens(
        stats, thought=bool(answer.thinking), answered=bool(answer.text or answer.calls)
    )
    return ChatCompletion(
        id=id_,
        created=created,
        model=model,
        choices=[ChatChoice(message=message, finish_reason=answer.done.reason)],
        usage=usage_of(stats, reasoning) or UNSET,
        timings=timings_of(stats),
    )
