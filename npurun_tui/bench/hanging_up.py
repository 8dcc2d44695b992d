"""A terminal that is closed while a bench runs in the workbench: over SSH that is how most programs end.

The system then sends a signal that ends the program at once, and an hour of measuring would go with it. So while a
bench runs, that signal and `kill`'s first have it ended and kept; then the program ends by it as it would have.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Final

from npurun_tui.bench.control import BenchControl
from npurun_tui.bench.events import BenchEvent, Ended
from npurun_tui.ending import ending_signals

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds for an answer to be broken off and a session to be written; a system that shuts down gives not much more."""


class HangUpGuard:
    """Guards the benches of `control` from now on. Make it on the loop of a process's main thread."""

    def __init__(self, control: BenchControl) -> None:
        self._control = control
        self._guarded: list[signal.Signals] = []
        self._leaving: asyncio.Task[None] | None = None
        control.subscribe(self._hear)

    def _hear(self, event: BenchEvent) -> None:
        if isinstance(event, Ended):
            self._let_go()
        elif not self._guarded and self._control.state.running and self._leaving is None:
            self._guard()

    def _guard(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            for each in ending_signals():
                loop.add_signal_handler(each, self._leave, each)
                self._guarded.append(each)
        except (NotImplementedError, RuntimeError, ValueError) as error:
            # Windows, or not the main thread.
            log.debug("no guard against a closed terminal: %s", error)

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        while self._guarded:
            loop.remove_signal_handler(self._guarded.pop())

    def _leave(self, number: signal.Signals) -> None:
        self._let_go()  # sent again, it ends the program at once
        self._leaving = asyncio.get_running_loop().create_task(self._keep_and_end(number))

    async def _keep_and_end(self, number: signal.Signals) -> None:
        log.warning("%s while a bench runs: it is kept, then the program ends", number.name)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._control.aclose()
        except TimeoutError:
            log.error("the bench did not end in time")
        os.kill(os.getpid(), number)
