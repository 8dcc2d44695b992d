"""One record for each request: what the request log keeps, the Server tab shows, and `/metrics` counts.

The guard makes it when a request's head has arrived and closes it when the last byte of the answer is written or the
client is gone; `observe` fills in what the inference tells. Texts in it come from clients: what shows them passes them
through `text.one_line`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

from npurun_tui.engine.tally import Tally
from npurun_tui.server.asking import Call as ToolCalled
from npurun_tui.server.asking import Done, Event, Queued, Reading, Text, Thought

Phase = Literal["arrived", "queued", "loading", "prefill", "decode", "done"]


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request. Mutable while it runs, on the server's loop only; others get copies."""

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    began: float = field(default_factory=time.time)
    """Unix time, seconds."""
    began_at: float = field(default_factory=time.perf_counter)
    peer: str = ""
    """The client's address, without its port."""
    client: str = ""
    """Its User-Agent."""
    dialect: str = ""
    """`openai`, `ollama`, `anthropic`; empty for routes of none."""
    method: str = ""
    path: str = ""
    """As the client wrote it, without its query."""
    route: str = ""
    """The route's path as it is declared (`/v1/models/{id:path}`); empty where none matched."""
    model: str = ""
    stream: bool = False
    phase: Phase = "arrived"
    ahead: int = 0
    read: float = 0.0
    """Share of the prompt that is prefilled, 0 to 1, while the phase is `prefill`."""
    status: int = 0
    """HTTP's, 0 while there is none; 499 where the client left before there was one."""
    outcome: str = ""
    """Why it ended, in a word or a sentence: `stop`, `length`, `client left`, `aborted here`, an error's text.
    `outcomes.succeeded` tells them apart."""
    queue_ms: float | None = None
    load_ms: float | None = None
    ttft_ms: float | None = None
    """From arrival to the first text, thought or call."""
    total_ms: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    """Grows while the answer is written."""
    decode_tps: float | None = None
    request_bytes: int = 0
    body: bytes | None = None
    """Kept only where prompts are logged."""
    body_sha256: str = ""
    warnings: tuple[str, ...] = ()
    cancel: Callable[[], None] | None = None
    """Aborts the request, on the server's loop; None once it has ended."""


async def observe(
    record: RequestRecord, events: AsyncIterator[Event], tally: Tally
) -> AsyncIterator[Event]:
    """`events`, with what they and their ask's `tally` tell written into `record` as they pass.

    Closing this closes them, and waits for it. An answer that is cut is counted too.
    """
    whole = False
    try:
        async for event in events:
            note(record, event)
            whole = isinstance(event, Done)
            if not whole:
                count(record, tally)
            yield event
    finally:
        try:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        finally:
            if not whole:  # only now is nothing more generated
                count(record, tally)


def count(record: RequestRecord, tally: Tally) -> None:
    """Write what `tally` has by now into `record`; nothing before the first token."""
    if tally.completion_tokens:
        record.completion_tokens = tally.completion_tokens
        if tally.prompt_tokens is not None:
            record.prompt_tokens, record.cached_tokens = tally.prompt_tokens, tally.cached_tokens


def note(record: RequestRecord, event: Event) -> None:
    """Write what `event` tells into `record`."""
    match event:
        case Queued(ahead):
            record.phase, record.ahead = "queued", ahead
        case Reading(done, total):
            record.phase, record.read = "prefill", done / total if total else 0.0
        case Text() | Thought() | ToolCalled():
            if record.ttft_ms is None:
                record.ttft_ms = (time.perf_counter() - record.began_at) * 1000
            record.phase = "decode"
        case Done():
            stats = event.stats
            record.phase = "done"
            record.outcome = event.reason
            record.queue_ms, record.load_ms = event.queue_ms, event.load_ms
            record.prompt_tokens, record.cached_tokens = stats.prompt_tokens, stats.cached_tokens
            record.completion_tokens, record.decode_tps = stats.completion_tokens, stats.decode_tps
            record.warnings = event.warnings
        case _:
            record.phase = "loading"
