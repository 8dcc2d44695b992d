"""Ollama's dialect: what is asked, what the lines of an answer say, and having a model loaded.

Durations are whole nanoseconds (docs/api.md). What they cover is in Ollama's runners (runner/*/runner.go):
`prompt_eval_count` has all of the prompt's tokens and `prompt_eval_duration` the time of those that no cache held;
`eval_duration` begins with the first token, so that it has one token less than `eval_count`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from npurun_tui.attach.answer import whole
from npurun_tui.attach.http import lines_of
from npurun_tui.bench.endpoint.hearing import Hearing
from npurun_tui.bench.endpoint.said import Said, check_fault, document_of, rate, text_in
from npurun_tui.bench.endpoint.timings import take_timings
from npurun_tui.bench.records import Clock
from npurun_tui.bench.target import Question

if TYPE_CHECKING:
    import httpx

PATH: Final = "/api/chat"

LEAST_LOAD: Final = 100.0
"""Milliseconds of `load_duration` below which nothing was loaded: it is then the time until the scheduler has found the
model."""


def body_of(model: str, question: Question, context: int) -> dict[str, Any]:
    """The request; `context` is the window in tokens, 0 the model's own. Each that names another window makes Ollama
    load the model again, so that all of one bench name the same."""
    options: dict[str, Any] = {"temperature": 0, "num_predict": question.max_tokens}
    if context:
        options["num_ctx"] = context
    return {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in question.messages],
        "stream": True,
        "options": options,
    }


async def read(response: httpx.Response, hearing: Hearing, alive: Said) -> None:
    """Take in the lines of `response`; `alive` is told of each that says something.

    Raises:
        EngineError: an error, no line of an answer, or one without end.
    """
    lines = cast("AsyncGenerator[str, None]", lines_of(response))
    async with aclosing(lines) as told:
        async for line in told:
            if line.strip() and take(line, hearing):
                alive()
            if hearing.done:
                return


def take(line: str, hearing: Hearing) -> bool:
    """One line; whether it said something. Raises as `read`."""
    document = document_of(line)
    check_fault(document)
    message = document.get("message")
    message = message if isinstance(message, dict) else {}
    thought, text = text_in(message, "thinking"), text_in(message, "content")
    called = isinstance(message.get("tool_calls"), list) and bool(message["tool_calls"])
    if thought:
        hearing.thinks(thought)
    if text:
        hearing.text(text)
    if called:
        hearing.calls()
    if document.get("done") is True:
        _figures(document, hearing)
        hearing.end(text_in(document, "done_reason"))
    return bool(thought or text or called or hearing.done)


def _figures(document: dict[str, Any], hearing: Hearing) -> None:
    figures = hearing.figures
    figures.prompt_tokens = prompt = whole(document.get("prompt_eval_count"))
    figures.completion_tokens = written = whole(document.get("eval_count"))
    figures.cached_tokens = cached = _cached(document)
    reading = milliseconds(document.get("prompt_eval_duration"))
    prefilled = prompt - cached if prompt is not None and cached is not None else None
    after = None if written is None else written - 1
    figures.engine = Clock(
        reading, rate(prefilled, reading), rate(after, milliseconds(document.get("eval_duration")))
    )
    if isinstance(timings := document.get("timings"), dict):  # this program's own server
        take_timings(timings, figures)
    loading = milliseconds(document.get("load_duration")) or 0.0
    figures.load_ms = loading if loading >= LEAST_LOAD else 0.0
    hearing.loaded = hearing.loaded or figures.load_ms > 0


def _cached(document: dict[str, Any]) -> int | None:
    """Ollama's name since 2026, and this program's own."""
    for key in ("prompt_eval_cached_count", "cached_tokens"):
        if (tokens := whole(document.get(key))) is not None:
            return tokens
    return None


def milliseconds(nanoseconds: object) -> float | None:
    """A duration; None where there is none, or none that can be."""
    value = whole(nanoseconds)
    return value / 1e6 if value else None
