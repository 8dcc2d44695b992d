"""OpenAI's dialect: what is asked, and what the events of an answer say."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from npurun_tui.attach.answer import whole
from npurun_tui.attach.http import events
from npurun_tui.bench.endpoint.hearing import Hearing
from npurun_tui.bench.endpoint.said import Said, check_fault, document_of, text_in
from npurun_tui.bench.endpoint.timings import take_timings
from npurun_tui.bench.target import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

PATH: Final = "/v1/chat/completions"

_THOUGHTS: Final = ("reasoning_content", "reasoning")
"""llama-server's name, and Ollama's; whoever sends both sends the same text twice."""


def body_of(model: str, question: Question, *, knows_more: bool) -> dict[str, Any]:
    """The request. `knows_more`: llama-server's own fields are understood; a strict server refuses what it does not
    know."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in question.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": question.max_tokens,
    }
    if knows_more:
        body["cache_prompt"] = question.keep
        body["timings_per_token"] = True
    return body


def without(body: dict[str, Any], refusal: str) -> dict[str, Any] | None:
    """`body` without the field that a server refuses in words; None where it names none that can be left out.

    OpenAI's later models take neither `max_tokens` nor a temperature, older servers no `stream_options`.
    """
    if "max_tokens" in refusal and "max_tokens" in body:
        left = {key: value for key, value in body.items() if key != "max_tokens"}
        return left | {"max_completion_tokens": body["max_tokens"]}
    for key in ("stream_options", "temperature"):
        if key in refusal and key in body:
            return {name: value for name, value in body.items() if name != key}
    return None


async def read(
    response: httpx.Response, hearing: Hearing, alive: Said, heard: Callable[[str], None]
) -> None:
    """Take in the events of `response`; `alive` is told of each that says something, `heard` of comments.

    Raises:
        EngineError: an error, no event of an answer, or one without end.
    """
    stream = cast("AsyncGenerator[str, None]", events(response, heard))
    async with aclosing(stream) as told:
        async for data in told:
            if data == "[DONE]":
                hearing.end("")
                return
            if take(data, hearing):
                alive()


def take(data: str, hearing: Hearing) -> bool:
    """One event; whether it said something. Raises as `read`."""
    event = document_of(data)
    check_fault(event)
    timings = event.get("timings")
    timings = timings if isinstance(timings, dict) else {}
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = isinstance(choice, dict) and _choice(choice, whole(timings.get("predicted_n")), hearing)
    if timings:
        take_timings(timings, hearing.figures)
    usage = event.get("usage")
    if isinstance(usage, dict):
        _count(usage, hearing)
    return said or bool(timings) or isinstance(usage, dict)


def _choice(choice: dict[str, Any], tokens: int | None, hearing: Hearing) -> bool:
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    thought = next((text for key in _THOUGHTS if (text := text_in(delta, key))), "")
    text = text_in(delta, "content") or text_in(delta, "refusal")
    called = isinstance(delta.get("tool_calls"), list) and bool(delta["tool_calls"])
    if thought:
        hearing.thinks(thought, tokens=tokens)
    if text:
        hearing.text(text, tokens=tokens)
    if called:
        hearing.calls(tokens=tokens)
    reason = text_in(choice, "finish_reason")
    if reason:
        hearing.end(reason)
    return bool(thought or text or called or reason)


def _count(usage: dict[str, Any], hearing: Hearing) -> None:
    figures = hearing.figures
    figures.prompt_tokens = whole(usage.get("prompt_tokens"))
    figures.completion_tokens = whole(usage.get("completion_tokens"))
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        figures.cached_tokens = whole(details.get("cached_tokens"))
    details = usage.get("completion_tokens_details")
    if isinstance(details, dict):
        figures.hidden_tokens = whole(details.get("reasoning_tokens")) or 0
