"""Noticing that the client of a blocking answer has left.

Neither uvicorn nor Starlette cancels a plain handler whose client is gone: with one permit it would keep the engine
from everybody else. A streaming response needs nothing of this; Starlette watches for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class ClientGone(Exception):
    """The client has closed the connection: nobody is left to answer."""


async def unless_gone(request: Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled where the client leaves first. The body must have been read.

    Raises:
        ClientGone: it has left.
    """
    work = asyncio.ensure_future(awaitable)
    watch = asyncio.create_task(_left(request), name="client's leaving")
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return await work
    finally:
        await _end(work, watch)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait until it has ended: the permit is free when this returns."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
