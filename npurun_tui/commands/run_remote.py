"""`run --addr`: the same prompt, answered by a server that already runs.

Any server that speaks OpenAI's chat completions will do: the Rust `npurun serve`, llama-server, or ours. What such a
server does not tell (token counts, rates) is measured here or left out; nothing is guessed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from npurun_tui import units
from npurun_tui.attach.http import base_url, error_text, events, post
from npurun_tui.commands.run import INTERRUPTED_STATUS, Printer, RunRequest, on_interrupt, say
from npurun_tui.errors import EngineError, NetworkUnavailable
from npurun_tui.text import one_line


@dataclass(slots=True)
class _Answer:
    """What the stream has told so far."""

    finish_reason: str = ""
    """Empty where the server gave none."""
    done: bool = False
    """The stream was ended with [DONE]."""
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0
    chunks: int = 0


def run_remote(request: RunRequest, model: str, address: str, token: str) -> int:
    """Answer over HTTP; returns the exit status."""
    return asyncio.run(_run(request, model, base_url(address), token))


async def _run(request: RunRequest, model: str, url: str, token: str) -> int:
    printer, answer = Printer(sys.stdout), _Answer()
    printer.silent = request.json
    began = time.perf_counter()
    work = asyncio.ensure_future(_stream(request, model, url, token, printer, answer))
    restore = on_interrupt(work.cancel)
    try:
        await asyncio.wait({work})
        if not work.cancelled():
            work.result()
    finally:
        restore()
        printer.end()
    if work.cancelled():
        answer.finish_reason = "aborted"
    total = time.perf_counter() - began
    if request.json:
        print(json.dumps(_document(model, answer, printer, began, total), ensure_ascii=False))  # noqa: T201
    else:
        say(_closing_line(url, answer, began))
    return INTERRUPTED_STATUS if work.cancelled() else 0


async def _stream(
    request: RunRequest, model: str, url: str, token: str, printer: Printer, answer: _Answer
) -> None:
    async with post(url, token, _body(request, model)) as response:
        async for data in events(response):
            if data == "[DONE]":
                answer.done = True
                break
            _take(data, printer, answer)
    # Without a reason, the end of an answer is believed only where there is an answer and its end was announced.
    if not answer.finish_reason and not (answer.done and answer.chunks):
        raise NetworkUnavailable(f"The server at {url} ended the answer in the middle.")


def _body(request: RunRequest, model: str) -> dict[str, Any]:
    settings = request.settings
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages()],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
    }
    if settings.max_tokens is not None:
        body["max_tokens"] = settings.max_tokens
    if settings.seed is not None:
        body["seed"] = settings.seed
    if settings.stop:
        body["stop"] = list(settings.stop)
    return body


def _parse(data: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise EngineError(
            f"The server sends something that is not an answer: {one_line(data, 80)}."
        )
    return document


def _take(data: str, printer: Printer, answer: _Answer) -> None:
    event = _parse(data)
    if event.get("error") is not None:
        reason = one_line(error_text(data)).rstrip(".")
        raise EngineError(f"The server failed in the middle: {reason}.")
    for key in ("usage", "timings"):
        if isinstance(event.get(key), dict):
            setattr(answer, key, event[key])
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, dict):
        return
    ended = choice.get("finish_reason")
    if isinstance(ended, str) and ended:
        answer.finish_reason = one_line(ended, 40)
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    if isinstance(text, str) and text:
        answer.last = time.perf_counter()
        answer.first = answer.first or answer.last
        answer.chunks += 1
        printer.write(text)


def _ttft(answer: _Answer, began: float) -> float | None:
    return answer.first - began if answer.first else None


def _count(value: object) -> int | None:
    """A number of tokens, where a server sent what can be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**53 else None


def _rate(value: object) -> float | None:
    """A rate, where a server sent what can be one: finite, and not below 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(float(value), 2) if 0 <= value < 2**53 else None


def _decode_tps(answer: _Answer) -> float | None:
    if (rate := _rate(answer.timings.get("predicted_per_second"))) is not None:
        return rate
    tokens = _count(answer.usage.get("completion_tokens"))
    if tokens is not None and tokens > 1 and answer.last > answer.first:
        return round((tokens - 1) / (answer.last - answer.first), 2)
    return None


def _document(
    model: str, answer: _Answer, printer: Printer, began: float, total: float
) -> dict[str, object]:
    ttft = _ttft(answer, began)
    details = answer.usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return {
        "model": model,
        "backend": "remote",
        "text": "".join(printer.pieces),
        "finish_reason": answer.finish_reason or None,
        "usage": {
            "prompt_tokens": _count(answer.usage.get("prompt_tokens")),
            "completion_tokens": _count(answer.usage.get("completion_tokens")),
            "cached_tokens": _count(cached),
        },
        "timings": {
            "load_ms": None,
            "ttft_ms": round(ttft * 1000, 1) if ttft is not None else None,
            "prefill_tps": _rate(answer.timings.get("prompt_per_second")),
            "decode_tps": _decode_tps(answer),
            "total_ms": round(total * 1000, 1),
        },
    }


def _closing_line(url: str, answer: _Answer, began: float) -> str:
    tokens = _count(answer.usage.get("completion_tokens"))
    parts = [
        units.count(answer.chunks, "chunk") if tokens is None else units.count(tokens, "token")
    ]
    if (ttft := _ttft(answer, began)) is not None:
        parts.append(f"TTFT {units.duration(ttft)}")
    if (rate := _decode_tps(answer)) is not None:
        parts.append(units.rate(rate))
    words = {
        "": "the server did not say why it ended",
        "length": "cut at the token limit",
        "aborted": "stopped",
    }
    if answer.finish_reason != "stop":
        parts.append(words.get(answer.finish_reason, answer.finish_reason))
    return f"[{url}: {' · '.join(parts)}]"
