"""The threads in which a server's loop has blocking work done: a disk that hangs must not hold up the server's end."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

log = logging.getLogger(__name__)

LEAVING: Final = 2.0
"""Seconds for work that has begun to end. `asyncio.Runner` waits five minutes for a loop's threads, or for ever."""


class LoopThreads(ThreadPoolExecutor):
    """A loop's default executor. At the loop's end what is stuck is left to itself, and what waits is not begun."""

    def __init__(self) -> None:
        self._started: list[threading.Thread] = []
        super().__init__(thread_name_prefix="npurun-tui server work", initializer=self._begin)

    def _begin(self) -> None:
        self._started.append(threading.current_thread())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the pool's own, but that waiting has an end."""
        del cancel_futures
        super().shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + (LEAVING if wait else 0)
        for thread in self._started:
            thread.join(max(until - time.monotonic(), 0))
        if stuck := sum(thread.is_alive() for thread in self._started):
            log.warning("%d of the server's threads are still at work and are left behind", stuck)
