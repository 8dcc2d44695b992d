"""One answer of a server elsewhere, with the surface of a turn of the engine's: streamed, stopped by hanging up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from npurun_tui.attach.answer import Answer
from npurun_tui.attach.http import events, post
from npurun_tui.attach.there import ServerThere
from npurun_tui.chat.model import CUT
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.surface import Doing
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    TurnOptions,
    TurnStats,
)
from npurun_tui.errors import NetworkUnavailable
from npurun_tui.text import one_line

OnEvent = Callable[[Prefill | Piece | Doing], None]

THINKS: Final = ("<think>\n", "\n</think>\n\n")
"""What stands around thoughts in an answer's text, as most models write it themselves."""


class RemoteTurn:
    """`run` it once; `stop()` ends it early with what has arrived."""

    def __init__(
        self,
        there: ServerThere,
        model: str,
        context_size: int,
        messages: Sequence[ChatMessage],
        options: TurnOptions,
    ) -> None:
        """`messages` have roles and texts only: what a chat of the workbench holds."""
        self._there = there
        self._context_size = context_size
        self._body = _body(model, messages, options)
        self._stop = asyncio.Event()
        self._answer = Answer()
        self._warning = ""
        self._thinking = False

    def stop(self) -> None:
        """Hang up, which ends the answer there within a token; `run` then returns with `ABORTED`."""
        self._stop.set()

    async def run(self, on_event: OnEvent) -> Finished:
        """Ask, and tell of what comes.

        Raises:
            NetworkUnavailable: no connection, or it was lost; the pieces that came before are valid.
            EngineError: the server refuses, or fails in the middle; the text says why.
        """
        began = time.perf_counter()
        answer = asyncio.create_task(self._stream(on_event), name="answer from elsewhere")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({answer, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
                return Finished(self._reason(), self._stats(began))
            return Finished(FinishReason.ABORTED, self._stats(began))
        finally:
            stopping.cancel()
            answer.cancel()
            await asyncio.wait({answer, stopping})
            if not answer.cancelled():
                answer.exception()  # looked at: after a stop nobody asks for it

    async def _stream(self, on_event: OnEvent) -> None:
        there, answer = self._there, self._answer
        async with post(there.url, there.token, self._body) as response:
            stream = events(response, lambda comment: self._hear(comment, on_event))
            async with aclosing(cast("AsyncGenerator[str, None]", stream)) as told:
                async for data in told:
                    text, thought = answer.take(data)
                    self._tell(text, thought, on_event)
                    if answer.done:
                        break
        if not answer.ended:
            raise NetworkUnavailable(
                f"The server at {there.url} ended the answer in the middle.",
                mend="Ask again when it is back.",
            )

    def _tell(self, text: str, thought: str, on_event: OnEvent) -> None:
        begin, end = THINKS
        if thought:
            on_event(Piece(thought if self._thinking else begin + thought))
            self._thinking = True
        if text:
            on_event(Piece(end + text if self._thinking else text))
            self._thinking = False

    def _hear(self, comment: str, on_event: OnEvent) -> None:
        """What our own servers say while a request waits; anything else is silence."""
        word, _, rest = comment.strip().partition(" ")
        if word == "queued" and rest.isascii() and rest.isdigit() and len(rest) < 6:
            on_event(Doing(f"waiting in line at {self._there.where}, {int(rest)} ahead"))
        elif word == "loading":
            on_event(Doing(f"{self._there.where} loads the model"))
        elif word == "reading":
            on_event(Doing(f"{self._there.where} reads the conversation"))
        elif word == "warning":
            self._warning = f"the server warns: {one_line(rest, 200)}"

    def _reason(self) -> FinishReason:
        return FinishReason.LENGTH if self._answer.finish_reason == "length" else FinishReason.STOP

    def _stats(self, began: float) -> TurnStats:
        """The server's figures. Those of an answer that was stopped never come: it has none, and no guesses."""
        answer, now = self._answer, time.perf_counter()
        prompt, written = answer.prompt_tokens or 0, answer.completion_tokens or 0
        cached = min(answer.cached_tokens or 0, prompt)
        measured = (answer.first - began) * 1000 if answer.first else 0.0
        note = self._warning
        if note and self._reason() is FinishReason.LENGTH:
            note = f"{CUT} · {note}"
        return TurnStats(
            prompt_tokens=prompt,
            cached_tokens=cached,
            prefilled_tokens=prompt - cached,
            completion_tokens=written,
            ttft_ms=answer.ttft_ms or measured,
            prefill_tps=answer.prefill_tps or 0.0,
            decode_tps=answer.decode_tps or 0.0,
            total_ms=(now - began) * 1000,
            occupancy=prompt + written,
            context_size=self._context_size if prompt else 0,
            note=note,
        )


def _body(model: str, messages: Sequence[ChatMessage], options: TurnOptions) -> dict[str, Any]:
    sampler = options.sampler
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampler.temperature,
        "top_p": sampler.top_p,
        "top_k": sampler.top_k,
    }
    if options.max_tokens is not None:
        body["max_tokens"] = options.max_tokens
    if sampler.seed is not None:
        body["seed"] = sampler.seed
    if options.stop:
        body["stop"] = list(options.stop)
    return body
