"""A whole answer, for clients that want it in one piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from npurun_tui.engine.messages import ToolCall
from npurun_tui.server.asking import Call, Done, Event, Text, Thought
from npurun_tui.server.faults import EngineFault


@dataclass(frozen=True, slots=True)
class Collected:
    """An answer's parts, each in the order in which they came."""

    text: str
    thinking: str
    calls: tuple[ToolCall, ...]
    done: Done


async def collect(events: AsyncIterator[Event]) -> Collected:
    """The whole answer, when the permit is free again.

    Raises what `events` raise, and EngineFault where they end without `Done`.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    done: Done | None = None
    async with aclosing(cast("AsyncGenerator[Event, None]", events)) as each:
        async for event in each:
            match event:
                case Text(text):
                    texts.append(text)
                case Thought(text):
                    thoughts.append(text)
                case Call(_, call):
                    calls.append(call)
                case Done():
                    done = event
                case _:
                    pass
    if done is None:
        raise EngineFault("The answer broke off without an end.")
    return Collected("".join(texts), "".join(thoughts), tuple(calls), done)
