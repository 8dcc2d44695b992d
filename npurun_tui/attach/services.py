"""What the workbench stands on while it is attached: the server's engine and models in place of this machine's."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from npurun_tui.attach.engine import AttachedEngine
from npurun_tui.attach.pulls import RemotePulls
from npurun_tui.attach.there import RemoteModel, ServerThere
from npurun_tui.engine.spec import Backend, ModelSpec
from npurun_tui.errors import ModelNotFound
from npurun_tui.text import one_line

FRESH: Final = 3.0
"""Seconds for which a list of models is not asked for again."""


class Attachment:
    """One server. Make it anywhere; use it on one event loop from `begin` on, and `aclose` it there."""

    def __init__(self, address: str, token: str = "") -> None:
        """Raises UsageError where `address` is none."""
        self.there = ServerThere(address, token)
        self.engine = AttachedEngine(self.there)
        self.pulls = RemotePulls(self.there)
        self._models: list[RemoteModel] = []
        self._read_at = -FRESH
        self._reading = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """Look at the server from now on. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        self.engine.watch()

    async def models(self, *, anew: bool = False) -> list[RemoteModel]:
        """The models there, by name; at most a few seconds old unless asked for `anew`.

        Raises:
            NetworkUnavailable, EngineError: nothing answers, or it refuses.
        """
        async with self._reading:
            if anew or time.monotonic() - self._read_at >= FRESH:
                found = await self.there.models()
                self._models = sorted(found, key=lambda model: model.name)
                self._read_at = time.monotonic()
            return self._models

    def _models_from_elsewhere(self) -> list[RemoteModel]:
        """`models`, for a thread that may wait."""
        if self._loop is None:
            raise RuntimeError("the attachment has not begun")
        return asyncio.run_coroutine_threadsafe(self.models(), self._loop).result()

    def spec_of(self, name: str) -> ModelSpec:
        """The model `name` there, with no files here. Blocks; not for the event loop.

        Raises:
            ModelNotFound: that server has none of that name.
            NetworkUnavailable, EngineError: nothing answers, or it refuses.
        """
        found = next((m for m in self._models_from_elsewhere() if m.name == name), None)
        if found is None:
            raise ModelNotFound(
                f"The server at {self.there.where} has no model {one_line(name, 60) or 'chosen'}.",
                mend="Choose one with ctrl+s.",
            )
        backend: Backend = "genie" if "genie" in found.format else "llama.cpp"
        return ModelSpec(found.name, backend, Path())

    def installed_names(self) -> list[str]:
        """The names of those that can chat. Blocks; raises as `models`."""
        return [m.name for m in self._models_from_elsewhere() if can_chat(m)]

    async def aclose(self) -> None:
        """Let go of the server: what this workbench has pulled there stops, resumably."""
        try:
            await self.pulls.aclose()
        finally:
            await self.engine.aclose()


def can_chat(model: RemoteModel) -> bool:
    """Whether it gives answers; a server that names no capabilities is asked."""
    return not model.capabilities or "completion" in model.capabilities
