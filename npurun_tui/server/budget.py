"""What of a conversation and its tools fits the context window.

Clients send tools and whole conversations without knowing the window: 28 tools of Open WebUI are more than a window of
4,096 tokens by themselves. Nothing is left out in silence: what is, is said in a warning, and a client that wants
all or nothing is told how much there is and how much room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from npurun_tui import units
from npurun_tui.engine.messages import ChatMessage, PromptExtras
from npurun_tui.server.config import ToolPolicy
from npurun_tui.server.faults import ContextLength

ROOM: Final = 256
"""Tokens that are kept free for the answer, where it may have so many."""

TOOLS_IGNORED: Final = "This server does not give tools to its models; they were left out."


class Renderer(Protocol):
    """What the budget needs of a dialog."""

    async def render(self, messages: Sequence[ChatMessage], extras: PromptExtras = ...) -> str:
        """The prompt."""

    async def count_tokens(self, text: str) -> int:
        """Its length in tokens."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt, and what was left out of it."""

    prompt: str
    tools: bool
    """The tools are in it."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be rendered."""

    messages: tuple[ChatMessage, ...]
    extras: PromptExtras
    truncate: bool = False
    """The oldest messages may go."""
    needs_tools: bool = False
    """Without its tools it is not worth asking."""


class Budget:
    """The room of one context window."""

    def __init__(
        self, dialog: Renderer, window: int, policy: ToolPolicy, max_tokens: int | None
    ) -> None:
        self._dialog = dialog
        self._window = window
        self._policy = policy
        self._limit = window - min(max_tokens or ROOM, ROOM, window // 4)

    async def fit(self, wanted: Wanted) -> Fitted:
        """The prompt for as much of `wanted` as fits.

        Raises:
            ContextLength: too little may be left out. Where nothing may be, the engine finds it out by itself.
        """
        tools, without = bool(wanted.extras.tools), _without_tools(wanted.extras)
        if tools and self._policy == "ignore":
            found = await self._some(wanted, without)
            return Fitted(found.prompt, False, (TOOLS_IGNORED, *found.warnings))
        if not tools:
            return await self._some(wanted, wanted.extras)
        may_drop = self._policy == "auto" and not wanted.needs_tools
        try:
            return await self._some(wanted, wanted.extras, strict=True)
        except ContextLength as error:
            if not may_drop:
                raise
            found = await self._some(wanted, without)
            said = (
                f"The {units.count(len(wanted.extras.tools), 'tool')} did not fit the context window "
                f"({error.needed:,} tokens of {self._window:,}) and were left out."
            )
            return Fitted(found.prompt, False, (said, *found.warnings))

    async def _some(self, wanted: Wanted, extras: PromptExtras, *, strict: bool = False) -> Fitted:
        """All messages, or the newest of them. `strict` raises ContextLength where the engine would too, later."""
        prompt = await self._dialog.render(wanted.messages, extras)
        if not (strict or wanted.truncate):
            return Fitted(prompt, bool(extras.tools))
        size = await self._size(prompt)
        if size <= self._limit:
            return Fitted(prompt, bool(extras.tools))
        starts = turn_starts(wanted.messages) if wanted.truncate else []
        found = await self._newest(wanted.messages, extras, starts)
        if found is None:
            raise too_long(size, self._window)
        prompt, dropped = found
        left_out = units.count(dropped, "old message")
        said = f"The conversation did not fit the context window: {left_out} left out."
        return Fitted(prompt, bool(extras.tools), (said,))

    async def _newest(
        self, messages: Sequence[ChatMessage], extras: PromptExtras, starts: Sequence[int]
    ) -> tuple[str, int] | None:
        """The prompt that drops fewest, and how many messages that are; found in steps that halve."""
        best: tuple[str, int] | None = None
        low, high = 0, len(starts) - 1
        while low <= high:
            middle = (low + high) // 2
            kept = kept_from(messages, starts[middle])
            prompt = await self._dialog.render(kept, extras)
            if await self._size(prompt) <= self._limit:
                best, high = (prompt, len(messages) - len(kept)), middle - 1
            else:
                low = middle + 1
        return best

    async def _size(self, prompt: str) -> int:
        """In tokens; where even one token for each byte fits, that is not counted."""
        most = len(prompt.encode("utf-8", "replace")) + 2
        return most if most <= self._limit else await self._dialog.count_tokens(prompt)


def turn_starts(messages: Sequence[ChatMessage]) -> list[int]:
    """Where a shorter conversation can begin: at each user's message but the first."""
    users = [place for place, message in enumerate(messages) if message.role == "user"]
    return users[1:]


def kept_from(messages: Sequence[ChatMessage], start: int) -> tuple[ChatMessage, ...]:
    """The system messages, and all messages from `start` on."""
    return tuple(
        message
        for place, message in enumerate(messages)
        if place >= start or message.role == "system"
    )


def too_long(needed: int, window: int) -> ContextLength:
    """The prompt has `needed` tokens and the window holds `window`."""
    return ContextLength(
        f"The prompt has {units.count(needed, 'token')}; the model's context window holds {window:,}.",
        needed=needed,
        window=window,
        mend="Shorten the conversation, send fewer tools, or use a model with a larger window.",
    )


def _without_tools(extras: PromptExtras) -> PromptExtras:
    variables: Mapping[str, Any] = extras.variables
    return PromptExtras((), extras.think, variables)
