"""`run --addr`: the same prompt, answered by a server that already runs.

Any server that speaks OpenAI's chat completions will do: the Rust `npurun serve`, llama-server, or ours. What such a
server does not tell (token counts, rates) is measured here or left out; nothing is guessed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from npurun_tui import units
from npurun_tui.commands.run import INTERRUPTED_STATUS, Printer, RunRequest, on_interrupt, say
from npurun_tui.errors import EngineError, NetworkUnavailable, UsageError
from npurun_tui.text import one_line

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT: Final = 5.0
SILENCE: Final = 300.0
"""Seconds without a byte before a server counts as gone: it may be loading a model or prefilling."""

MAX_EVENT: Final = 1_000_000


def base_url(address: str) -> str:
    """`HOST:PORT` or a URL, as a URL without a path's end.

    Raises:
        UsageError: it is neither.
    """
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a bracket left open, a port beyond 65535
        usable = False
    if not usable:
        raise UsageError(
            f"{one_line(address)} is not an address.", mend="Give HOST:PORT or an http(s) URL."
        )
    if parts.username or parts.password:
        raise UsageError("An address holds no password.", mend="Give the token with --auth-token.")
    return url.rstrip("/")


@dataclass(slots=True)
class _Answer:
    """What the stream has told so far."""

    finish_reason: str = ""
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
    async with _post(url, token, _body(request, model)) as response:
        async for data in _events(response):
            if data == "[DONE]":
                return
            _take(_parse(data), printer, answer)
    if not answer.finish_reason:
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


@asynccontextmanager
async def _post(url: str, token: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
    import httpx

    if not token.isascii() or not (token.isprintable()):
        raise UsageError("The token holds characters that HTTP cannot carry.")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = httpx.Timeout(SILENCE, connect=CONNECT_TIMEOUT)
    try:
        async with (
            # Redirects are not followed: they could carry the token to another host.
            httpx.AsyncClient(timeout=timeout, headers=headers) as client,
            client.stream("POST", f"{url}/v1/chat/completions", json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise await _refusal(url, response)
            yield response
    except httpx.TimeoutException as error:
        raise NetworkUnavailable(f"The server at {url} does not answer.") from error
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        # The last three are what httpx makes of proxy and certificate settings that it cannot use.
        raise NetworkUnavailable(
            f"The server at {url} cannot be reached ({one_line(str(error)) or type(error).__name__}).",
            mend="Start it, or leave out --addr to run the model here.",
        ) from error


async def _refusal(url: str, response: httpx.Response) -> EngineError:
    text = (await response.aread())[:MAX_EVENT].decode("utf-8", "replace")
    mends = {
        401: "Give its token with --auth-token.",
        404: "See which models it has with GET /v1/models.",
        429: "It is busy: try again in a moment.",
        503: "It has no model loaded, or is starting.",
    }
    reason = one_line(_error_text(text)) or "no reason given"
    return EngineError(
        f"The server at {url} refused with status {response.status_code}: {reason}.".replace(
            "..", "."
        ),
        mend=mends.get(response.status_code, ""),
    )


def _error_text(text: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = document.get("error", document) if isinstance(document, dict) else document
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


async def _events(response: httpx.Response) -> AsyncIterator[str]:
    """The `data` of each server-sent event; comments and other fields are skipped."""
    lines: list[str] = []
    size = 0
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
            size += len(line)
            if size > MAX_EVENT:
                raise EngineError("The server sends an event without end.")
        elif not line and lines:
            yield "\n".join(lines)
            lines, size = [], 0
    if lines:
        yield "\n".join(lines)


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


def _take(event: dict[str, Any], printer: Printer, answer: _Answer) -> None:
    if event.get("error") is not None:
        raise EngineError(
            f"The server failed in the middle: {one_line(_error_text(json.dumps(event)))}."
        )
    for key in ("usage", "timings"):
        if isinstance(event.get(key), dict):
            setattr(answer, key, event[key])
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, dict):
        return
    answer.finish_reason = str(choice.get("finish_reason") or answer.finish_reason)
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    if isinstance(text, str) and text:
        answer.last = time.perf_counter()
        answer.first = answer.first or answer.last
        answer.chunks += 1
        printer.write(text)


def _ttft(answer: _Answer, began: float) -> float | None:
    return answer.first - began if answer.first else None


def _decode_tps(answer: _Answer) -> float | None:
    if isinstance(rate := answer.timings.get("predicted_per_second"), int | float):
        return float(rate)
    tokens = answer.usage.get("completion_tokens")
    if isinstance(tokens, int) and tokens > 1 and answer.last > answer.first:
        return (tokens - 1) / (answer.last - answer.first)
    return None


def _document(
    model: str, answer: _Answer, printer: Printer, began: float, total: float
) -> dict[str, object]:
    ttft, rate = _ttft(answer, began), _decode_tps(answer)
    details = answer.usage.get("prompt_tokens_details")
    return {
        "model": model,
        "backend": "remote",
        "text": "".join(printer.pieces),
        "finish_reason": answer.finish_reason,
        "usage": {
            "prompt_tokens": answer.usage.get("prompt_tokens"),
            "completion_tokens": answer.usage.get("completion_tokens"),
            "cached_tokens": details.get("cached_tokens") if isinstance(details, dict) else None,
        },
        "timings": {
            "load_ms": None,
            "ttft_ms": round(ttft * 1000, 1) if ttft is not None else None,
            "prefill_tps": answer.timings.get("prompt_per_second"),
            "decode_tps": round(rate, 2) if rate is not None else None,
            "total_ms": round(total * 1000, 1),
        },
    }


def _closing_line(url: str, answer: _Answer, began: float) -> str:
    tokens = answer.usage.get("completion_tokens")
    parts = [
        units.count(tokens, "token")
        if isinstance(tokens, int)
        else units.count(answer.chunks, "chunk")
    ]
    if (ttft := _ttft(answer, began)) is not None:
        parts.append(f"TTFT {units.duration(ttft)}")
    if (rate := _decode_tps(answer)) is not None:
        parts.append(units.rate(rate))
    if answer.finish_reason not in ("", "stop"):
        parts.append(
            {"length": "cut at the token limit", "aborted": "stopped"}.get(
                answer.finish_reason, one_line(answer.finish_reason, 40)
            )
        )
    return f"[{url}: {' · '.join(parts)}]"
