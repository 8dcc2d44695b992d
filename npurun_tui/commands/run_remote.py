"""`run --addr`: the same prompt, answered by a server that already runs.

Any server that speaks OpenAI's chat completions will do: the Rust `npurun serve`, llama-server, or ours. What such a
server does not tell (token counts, rates) is measured here or left out; nothing is guessed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from npurun_tui import units
from npurun_tui.attach.answer import Answer
from npurun_tui.attach.http import UNREACHED, base_url, events, post
from npurun_tui.commands.interrupting import INTERRUPTED_STATUS, Interrupts
from npurun_tui.commands.run import Printer, RunRequest
from npurun_tui.commands.speaking import say
from npurun_tui.errors import NetworkUnavailable


def run_remote(request: RunRequest, model: str, address: str, token: str) -> int:
    """Answer over HTTP; returns the exit status."""
    try:
        return asyncio.run(_run(request, model, base_url(address), token))
    except NetworkUnavailable as error:
        if error.mend != UNREACHED:
            raise
        mend = "Start it, or leave out --addr to run the model here."
        raise NetworkUnavailable(error.message, mend=mend) from error


async def _run(request: RunRequest, model: str, url: str, token: str) -> int:
    printer, answer = Printer(sys.stdout), Answer()
    printer.silent = request.json
    began = time.perf_counter()
    ctrl_c, cut = Interrupts(), False
    try:
        with ctrl_c:
            await _stream(request, model, url, token, printer, answer)
    except asyncio.CancelledError:
        if not ctrl_c.came:
            raise
        cut = True
        answer.finish_reason = "aborted"
    finally:
        printer.end()
    total = time.perf_counter() - began
    if request.json:
        print(json.dumps(_document(model, answer, printer, began, total), ensure_ascii=False))  # noqa: T201
    else:
        say(_closing_line(url, answer, began))
    return INTERRUPTED_STATUS if cut else 0


async def _stream(
    request: RunRequest, model: str, url: str, token: str, printer: Printer, answer: Answer
) -> None:
    async with post(url, token, _body(request, model)) as response:
        async for data in events(response):
            text, _ = answer.take(data)
            if text:
                printer.write(text)
            if answer.done:
                break
    if not answer.ended:
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


def _ttft(answer: Answer, began: float) -> float | None:
    return answer.first - began if answer.first else None


def _document(
    model: str, answer: Answer, printer: Printer, began: float, total: float
) -> dict[str, object]:
    ttft = _ttft(answer, began)
    return {
        "model": model,
        "backend": "remote",
        "text": "".join(printer.pieces),
        "finish_reason": answer.finish_reason or None,
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "cached_tokens": answer.cached_tokens,
        },
        "timings": {
            "load_ms": None,
            "ttft_ms": round(ttft * 1000, 1) if ttft is not None else None,
            "prefill_tps": answer.prefill_tps,
            "decode_tps": answer.decode_tps,
            "total_ms": round(total * 1000, 1),
        },
    }


def _closing_line(url: str, answer: Answer, began: float) -> str:
    tokens = answer.completion_tokens
    parts = [
        units.count(answer.chunks, "chunk") if tokens is None else units.count(tokens, "token")
    ]
    if (ttft := _ttft(answer, began)) is not None:
        parts.append(f"TTFT {units.duration(ttft)}")
    if (rate := answer.decode_tps) is not None:
        parts.append(units.rate(rate))
    words = {
        "": "the server did not say why it ended",
        "length": "cut at the token limit",
        "aborted": "stopped",
    }
    if answer.finish_reason != "stop":
        parts.append(words.get(answer.finish_reason, answer.finish_reason))
    return f"[{url}: {' · '.join(parts)}]"
