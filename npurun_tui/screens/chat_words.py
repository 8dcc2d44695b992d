"""The Chat tab's words: footers, gauge, activity. Knows no Textual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.chat.session import Loading, SessionEvent, Waiting
from npurun_tui.engine.surface import Doing
from npurun_tui.engine.transcript import Prefill
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.chat.model import ChatSettings, ChatSummary
    from npurun_tui.engine.transcript import TurnStats

GAUGE_CELLS: Final = 10


def footer(stats: TurnStats | None) -> str:
    """The line under an answer; empty where there are no figures."""
    if stats is None:
        return ""
    if not stats.prompt_tokens + stats.completion_tokens:
        # Stopped before there was anything, or at a server, which then tells no figures.
        return f"TTFT {units.duration(stats.ttft_ms / 1000)}" if stats.ttft_ms else ""
    parts = [
        units.count(stats.completion_tokens, "token"),
        f"{stats.cached_tokens:,} reused / {stats.prefilled_tokens:,} prefilled",
        f"TTFT {units.duration(stats.ttft_ms / 1000)}",
    ]
    if stats.decode_tps:
        parts.append(units.rate(stats.decode_tps))
    return " · ".join(parts)


def note(stats: TurnStats | None, outcome: str) -> str:
    """What else is to be said of an answer: how it ended, and what its figures cannot tell."""
    remark = stats.note if stats is not None else ""
    return " · ".join(dict.fromkeys(part for part in (outcome, remark) if part))


def gauge(used: int, size: int) -> str:
    """How full the context window is (`██░░░░░░░░ 1,234 / 8,192 (15 %)`); empty where it is not known."""
    if size <= 0:
        return ""
    share = min(used / size, 1.0)
    filled = min(GAUGE_CELLS, max(1, round(share * GAUGE_CELLS))) if used else 0
    bar = "█" * filled + "░" * (GAUGE_CELLS - filled)
    return f"context {bar} {used:,} / {size:,} ({share * 100:.0f} %)"


def summary(settings: ChatSettings) -> str:
    """The settings in a few words."""
    parts = [
        f"temp {settings.temperature:g}",
        f"top-p {settings.top_p:g}",
        f"top-k {settings.top_k}",
    ]
    if settings.seed is not None:
        parts.append(f"seed {settings.seed}")
    if settings.max_tokens is not None:
        parts.append(f"max {settings.max_tokens:,}")
    if settings.system.strip():
        parts.append("system prompt")
    return " · ".join(parts)


def activity(event: SessionEvent, holder: str | None) -> str:
    """What the waiting line, the load or the prefill is doing; empty for every other event."""
    if isinstance(event, Waiting):
        who = f" ({holder} holds the permit)" if holder else ""
        return f"waiting for the permit, {event.ahead} ahead{who}"
    if isinstance(event, Loading):
        return f"loading {event.model}"
    if isinstance(event, Prefill):
        return f"reading {event.done:,} / {event.total:,} tokens"
    if isinstance(event, Doing):
        return one_line(event.words, 80)
    return ""


def ago(then: float, now: float) -> str:
    """How long ago, in the largest unit that fits (`3 h ago`)."""
    seconds = max(0.0, now - then)
    for size, unit in ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def chat_line(chat: ChatSummary, now: float) -> str:
    """The second line of a chat in the list."""
    return f"{units.count(chat.message_count, 'message')} · {ago(chat.updated, now)}"
