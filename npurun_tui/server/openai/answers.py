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
    """llama-server's block; milliseconds, and tokens per second."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


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
    system_fingerprint: str = FINGERPRINT
    choices: list[ChatChoice]
    usage: Usage
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
    system_fingerprint: str = FINGERPRINT
    choices: list[TextChoice]
    usage: Usage
    timings: Timings


def usage_of(stats: TurnStats, reasoning: int | None) -> Usage:
    """The usage; `reasoning` tokens are left out where they are not known."""
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
    decode_ms = max(stats.completion_tokens - 1, 0) * _inverse(stats.decode_tps)
    return Timings(
        cache_n=stats.cached_tokens,
        prompt_n=stats.prefilled_tokens,
        prompt_ms=stats.ttft_ms,
        prompt_per_token_ms=_inverse(stats.prefill_tps),
        prompt_per_second=stats.prefill_tps,
        predicted_n=stats.completion_tokens,
        predicted_ms=decode_ms,
        predicted_per_token_ms=_inverse(stats.decode_tps),
        predicted_per_second=stats.decode_tps,
    )


def _inverse(per_second: float) -> float:
    return 1000 / per_second if per_second > 0 else 0.0


def summed(stats: list[TurnStats]) -> TurnStats:
    """Several answers' figures as one's: counts add up, rates are those of the sums."""
    if len(stats) == 1:
        return stats[0]
    prefilled = sum(each.prefilled_tokens for each in stats)
    ttft = sum(each.ttft_ms for each in stats)
    after_first = sum(max(each.completion_tokens - 1, 0) for each in stats)
    decode_ms = sum(
        max(each.completion_tokens - 1, 0) * _inverse(each.decode_tps) for each in stats
    )
    return TurnStats(
        prompt_tokens=sum(each.prompt_tokens for each in stats),
        cached_tokens=sum(each.cached_tokens for each in stats),
        prefilled_tokens=prefilled,
        completion_tokens=sum(each.completion_tokens for each in stats),
        ttft_ms=ttft,
        prefill_tps=prefilled * 1000 / ttft if ttft else 0.0,
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
        usage=usage_of(stats, reasoning),
        timings=timings_of(stats),
    )
