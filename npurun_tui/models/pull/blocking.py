"""Blocking work of a pull (hashing, writing, unpacking, syncing) on one thread of its own, in order.

Cancelling the waiting task asks the work to stop and waits until it has: nobody writes to a folder whose lock has
been given back. The work looks at the request once for every block that it handles, so that takes milliseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """Raised inside the thread where the work was asked to stop; nobody waits for its result any more."""


class Worker:
    """One thread. Use it as a context, on one event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "pull")
        self._stop = threading.Event()

    def check(self) -> None:
        """For the work itself: raise Stopped where it is to stop."""
        if self._stop.is_set():
            raise Stopped

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `function`, run in the thread."""
        self._stop.clear()
        future = self._pool.submit(function, *args, **kwargs)
        waiter = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiter)
        except asyncio.CancelledError:
            self._stop.set()
            while not waiter.done():
                # A second cancellation changes nothing: the first one is raised below in any case.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({waiter})
            waiter.exception()  # whatever it was, cancellation is what the caller gets
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False)
