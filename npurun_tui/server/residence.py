"""How long a model stays loaded, and for whom: lives on the engine's loop.

The server unloads only what it loaded itself: a model that somebody chose in the Chat tab is theirs. One task waits for
the deadline, takes the permit as every other caller does, and looks again once it holds it: whoever came meanwhile has
the model still under them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from npurun_tui.engine.engine import (
    RESTARTER,
    Engine,
    EngineState,
    EngineStatus,
    LoadedModel,
    Permit,
)
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import NpurunError
from npurun_tui.server.faults import Busy

log = logging.getLogger(__name__)

KEEPER: Final = "the server's keep-alive"

LONGEST: Final = 10 * 365 * 86400.0
"""Seconds; a keep-alive above this is for ever, and no timer overflows."""


class Residence:
    """The loaded model's stay. Make it and use it on the engine's loop."""

    def __init__(self, engine: Engine, keep_alive: float) -> None:
        """`keep_alive` is in seconds, for requests that name none; negative is for ever."""
        self._engine = engine
        self._rule = keep_alive
        self._last = engine.status.model
        """What was loaded last; a crash or a restart brings the same one again, for whom it was there."""
        self._ours = False
        self._guests = 0
        self._busy = False
        """The server holds the permit."""
        self._keep = keep_alive
        self._due = math.inf
        """On the clock of `time.monotonic`."""
        self._wake = asyncio.Event()
        self._unsubscribe = engine.subscribe(self._changed)
        self._keeper = asyncio.get_running_loop().create_task(self._watch(), name=KEEPER)

    @property
    def expires(self) -> float | None:
        """Unix time at which the loaded model goes, or would if the requests on their way ended now; None where it
        stays."""
        if self._guests and self._leaves:
            return time.time() + self._keep
        due = self._due
        return None if math.isinf(due) else time.time() + max(due - time.monotonic(), 0.0)

    @property
    def _leaves(self) -> bool:
        """The loaded model is the server's, and not for ever."""
        return self._ours and self._engine.status.model is not None and 0 <= self._keep <= LONGEST

    @contextmanager
    def guest(self, keep_alive: float | None) -> Iterator[None]:
        """A request, from its arrival to its end; the model stays for `keep_alive` seconds after it."""
        self._guests += 1
        self._due = math.inf
        try:
            yield
        except Busy:  # refused before its turn: its wish is nobody's
            self._leave(self._keep)
            raise
        except BaseException:
            self._leave(keep_alive)
            raise
        self._leave(keep_alive)

    def _leave(self, keep_alive: float | None) -> None:
        self._guests -= 1
        self._keep = self._rule if keep_alive is None else keep_alive
        self._put_off()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The server holds the permit for the length of the block: what is loaded in it is the server's."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def load(self, permit: Permit, spec: ModelSpec) -> tuple[LoadedModel, float]:
        """Have `spec` loaded under `permit`; the milliseconds are 0 where it was. Inside `at_work`."""
        before = self._engine.status.model
        model = await permit.load(spec)
        return model, 0.0 if model is before else model.load_ms

    async def aclose(self) -> None:
        """End the timer. What is loaded stays loaded."""
        self._unsubscribe()
        self._keeper.cancel()
        await asyncio.wait({self._keeper})

    # -- the clock -------------------------------------------------------------------------

    def _put_off(self) -> None:
        """The stay ends `keep` seconds from now, where nobody is on the way and the model is the server's."""
        stays = self._guests or not self._leaves
        self._due = math.inf if stays else time.monotonic() + self._keep
        self._wake.set()

    def _changed(self, status: EngineStatus) -> None:
        """The engine's state changed: whose is what is loaded now, and does somebody else use it?"""
        model, last = status.model, self._last
        if model is None:
            if status.state is EngineState.STOPPED and not self._busy:
                self._last = None
            return
        if model is not last:
            again = last is not None and last.name == model.name
            if not (again and (self._busy or status.holder == RESTARTER)):
                self._ours = self._busy
            self._last = model
        elif status.holder in (None, KEEPER, RESTARTER):
            return
        if not self._guests:
            self._put_off()  # it came back after a crash, or the workbench talks to it

    async def _watch(self) -> None:
        while True:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._left()):
                    await self._wake.wait()
            except TimeoutError:
                await self._end_stay()

    def _left(self) -> float | None:
        return None if math.isinf(self._due) else max(self._due - time.monotonic(), 0.0)

    async def _end_stay(self) -> None:
        """Unload under the permit, unless somebody came, or the model changed, by the time it is ours."""
        model = self._engine.status.model
        try:
            async with self._engine.permit(KEEPER, however_long=True) as permit:
                if (
                    not self._guests
                    and self._ours
                    and time.monotonic() >= self._due
                    and self._engine.status.model is model
                ):
                    self._due = math.inf
                    await permit.unload()
        except NpurunError as error:
            log.warning("a model was not unloaded: %s", error)
            self._due = math.inf
        except Exception:  # the only task that ends stays: it has to outlive everything
            log.exception("a model was not unloaded")
            self._due = math.inf
