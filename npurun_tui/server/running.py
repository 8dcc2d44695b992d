"""One server at work: its thread, its event loop, its sockets and connections, from the first to the last.

The loop is the server's own, because a screen that paints would hold up the tokens of every client (and 200 requests a
second the screen). uvicorn gives the parser and the ASGI cycle; starting and stopping are done here, so that a stop
ends in a known time with nothing left over.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from npurun_tui.errors import NpurunError
from npurun_tui.server.app import ServerApp
from npurun_tui.server.binding import CannotServe, bind, check_exposure, tls_context, url_of
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.threads import LoopThreads

log = logging.getLogger(__name__)

T = TypeVar("T")

SWITCH: Final = 0.001
"""Seconds that a busy thread keeps the interpreter while the server waits for it; Python's own 5 ms are felt."""
ABORTING: Final = 5.0
"""Seconds for aborted requests to end."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a server serves."""

    app: ServerApp
    aclose: Callable[[], Awaitable[None]]
    """Called on the server's loop when all requests have ended."""


class RunningServer:
    """A server that is started once and stopped once. `start` and `stop` are called from any event loop."""

    def __init__(
        self,
        config: ServerConfig,
        build: Callable[[], Awaitable[Site]],
        ended: Callable[[BaseException | None], None] = lambda _: None,
    ) -> None:
        """`build` makes what is served, on the server's loop. `ended` is called in the server's thread at its end,
        with what ended it unasked."""
        self.config = config
        self._build = build
        self._ended = ended
        self._ready: Future[str] = Future()
        self._over: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._asked = False
        self._site: Site | None = None
        self._thread = threading.Thread(target=self._run, name="npurun-tui server", daemon=True)

    async def start(self) -> str:
        """Listen; returns the URL for clients.

        Raises:
            CannotServe: it cannot be done like this. Nothing is left running.
        """
        check_exposure(self.config)
        self._thread.start()
        try:
            return await asyncio.shield(asyncio.wrap_future(self._ready))
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, waiting: bool = True) -> None:
        """Accept nothing more, let requests finish for `limits.shutdown` seconds, then abort them. Those that only
        wait for the permit are ended at once unless `waiting`.

        Cancelling this aborts them at once; the server then ends by itself.
        """
        if self._thread.ident is None:
            return
        self._asked = True
        self._on_loop(lambda: self._stop.set() if self._stop is not None else None)
        if not waiting and self._site is not None:
            self._on_loop(self._site.app.flights.abort_waiting)
        try:
            await asyncio.shield(asyncio.wrap_future(self._over))
        except asyncio.CancelledError:
            self._abort_all()
            raise
        self._thread.join()

    def _abort_all(self) -> None:
        site = self._site
        if site is not None:
            self._on_loop(site.app.flights.abort_all)

    def abort(self, request_id: str) -> None:
        """End one request, soon; nothing where it has ended."""
        site = self._site
        if site is not None:
            self._on_loop(lambda: site.app.flights.abort(request_id))

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the server's loop. Raises CannotServe where it does not run."""
        loop = self._loop
        if loop is None or self._over.done():
            raise CannotServe("The server is not running.")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    def _on_loop(self, callback: Callable[[], object]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            log.debug("the server's loop is closed already")

    # --- the server's thread -------------------------------------------------------------------

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner() as runner:
                runner.run(self._main())
        except (Exception, asyncio.CancelledError) as unforeseen:  # noqa: BLE001 - handed on: the thread ends here
            error = unforeseen
        finally:
            self._loop = None
            self._tell_end(error)

    def _tell_end(self, error: BaseException | None) -> None:
        if not self._ready.done():
            self._ready.set_exception(_foreseen(error))
        elif error is not None:
            log.error("the server ended unasked", exc_info=error)
        self._over.set_result(None)
        self._ended(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(LoopThreads())
        self._stop = asyncio.Event()
        sockets = bind(self.config.host, self.config.port)
        try:
            await self._serve(sockets)
        finally:
            for listening in sockets:
                listening.close()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        from npurun_tui.server.listening import Listener

        tls = tls_context(self.config)
        self._site = site = await self._build()
        switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        try:
            async with Listener(self.config.limits, site.app, sockets, tls) as listener:
                self._ready.set_result(url_of(self.config, sockets[0].getsockname()[1]))
                await self._until_stopped()
                await listener.drain(self.config.limits.shutdown, ABORTING)
        finally:
            sys.setswitchinterval(switch)
            await site.aclose()

    async def _until_stopped(self) -> None:
        if self._stop is not None and not self._asked:
            await self._stop.wait()


def _foreseen(error: BaseException | None) -> BaseException:
    if isinstance(error, NpurunError):
        return error
    log.error("the server could not start", exc_info=error)
    return CannotServe("The server could not start.", mend="The log file says more.")
