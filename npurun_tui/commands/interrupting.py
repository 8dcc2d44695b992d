"""Ctrl+C while a command works on an event loop: once it ends the work nicely, pressed again it ends it at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Final, Self

INTERRUPTED_STATUS: Final = 130


class Interrupts:
    """Listens for the length of a `with` block, on the event loop of the process's main thread."""

    def __init__(self, *also: signal.Signals) -> None:
        """`also` are signals that mean the same."""
        self._signals = (signal.SIGINT, *also)
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._before: dict[signal.Signals, Any] = {}
        self.came = False
        """Ctrl+C was pressed."""
        self.gently: Callable[[], object] = self._cancel
        """What it calls the first time: the way to end the work nicely, as soon as there is one. Until then the task is
        cancelled, as it is the second time."""

    def _hear(self) -> None:
        if self.came:
            self._cancel()
        self.came = True
        self.gently()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> Self:
        try:
            for each in self._signals:
                self._loop.add_signal_handler(each, self._hear)
        except NotImplementedError:
            # Windows: a handler runs in the main thread, between two bytecodes.
            for each in self._signals:
                self._before[each] = signal.signal(
                    each, lambda *_: self._loop.call_soon_threadsafe(self._hear)
                )
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._signals:
            if each in self._before:
                signal.signal(each, self._before[each])
            else:
                self._loop.remove_signal_handler(each)
