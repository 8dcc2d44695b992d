"""The server as the workbench and `serve` hold it: started, watched and stopped from their own event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from npurun_tui.engine.listeners import tell
from npurun_tui.errors import NpurunError
from npurun_tui.server.beacon import Beacon, find_other, leave, remove
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.log import RequestLog
from npurun_tui.server.state import ServerState, ServerStatus

if TYPE_CHECKING:
    from npurun_tui.server.flights import Counts
    from npurun_tui.server.running import RunningServer, Site
    from npurun_tui.server.site import MakeParts
    from npurun_tui.services import Services

log = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Seconds between two tellings of how many requests there are."""

Listener = Callable[[ServerStatus], object]


def _import_site() -> None:
    """Load what a server is made of: half a second that no screen should stand still for."""
    import npurun_tui.server.site  # noqa: F401


class ServerControl:
    """Owns the server and the request log. Make it and use it on one event loop, and `aclose` it there."""

    def __init__(
        self,
        services: Services,
        *,
        request_log: RequestLog | None = None,
        parts: MakeParts | None = None,
    ) -> None:
        """`parts` gives others than this machine's engine and models to serve."""
        self._services = services
        self._parts = parts
        if request_log is not None:
            self.log = request_log
        self._status = ServerStatus()
        self._listeners: list[Listener] = []
        self._changing = asyncio.Lock()
        self._server: RunningServer | None = None
        self._site: Site | None = None
        self._due = False
        self.config: ServerConfig | None = None
        """Of the server that runs, or ran last."""
        self.models_changed: Callable[[], None] = lambda: None
        """Called on this loop when a client has pulled, deleted or copied a model; set it before `start`."""

    @cached_property
    def log(self) -> RequestLog:
        """What is on its way and what was answered, also while no server runs."""
        return RequestLog(self._services.paths.database)

    @property
    def status(self) -> ServerStatus:
        """How the server stands now."""
        counts = self._counts
        if counts is None:
            return self._status
        return replace(
            self._status,
            active=counts.active,
            total=counts.total,
            failed=counts.failed,
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
        )

    @property
    def _counts(self) -> Counts | None:
        return None if self._site is None else self._site.app.flights.counts

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on this loop at each change, at most ten times a second for requests; returns the way to
        unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def start(self, config: ServerConfig) -> None:
        """Start serving.

        Raises:
            CannotServe: a server runs already, or this one cannot be started like this; the text says why.
        """
        async with self._changing:
            from npurun_tui.server.binding import CannotServe

            if self._server is not None:
                raise CannotServe("The server runs already.", mend="Stop it first.")
            self.config, self._site = config, None
            self._set(ServerStatus(ServerState.STARTING))
            try:
                await self._start_or_say_who(config)
            except BaseException as error:
                self._server = self._site = None
                reason = str(error) if isinstance(error, NpurunError) else ""
                state = ServerState.FAILED if reason else ServerState.STOPPED
                self._set(ServerStatus(state, reason=reason))
                raise
            await self._be_found(Beacon(self._status.url, os.getpid(), time.time()))

    async def _start_or_say_who(self, config: ServerConfig) -> None:
        """Start; where a server of this program has the port already, that is what the refusal says."""
        from npurun_tui.server.binding import PortTaken

        try:
            await self._start(config)
        except PortTaken as error:
            other = await asyncio.to_thread(find_other, self._services.paths.beacon)
            if other is None or urlsplit(other.url).port != config.port:
                raise
            raise PortTaken(
                f"npurun-tui serves at {other.url} already (process {other.pid}).",
                mend=f"`npurun-tui --addr {other.url}` works with that one; else choose another port.",
            ) from error

    async def _start(self, config: ServerConfig) -> None:
        await asyncio.to_thread(_import_site)
        from npurun_tui.server.running import RunningServer
        from npurun_tui.server.site import build_site, parts_of

        loop = asyncio.get_running_loop()
        make = self._parts or parts_of(self._services, loop, self.models_changed)
        requests = self.log

        def changed() -> None:
            self._from_server(loop, lambda: self._count_later(loop))

        async def build() -> Site:
            self._site = site = await build_site(config, make, requests, changed)
            return site

        def ended(error: BaseException | None) -> None:
            self._from_server(loop, lambda: self._ended(server, error), always=True)

        self._server = server = RunningServer(config, build, ended)
        url = await server.start()
        self._set(ServerStatus(ServerState.RUNNING, url, started=time.time()))

    async def stop(self, *, waiting: bool = True) -> None:
        """Stop: accept nothing more, let requests finish for `limits.shutdown` seconds, abort the others; those that
        only wait for the permit are ended at once unless `waiting`."""
        async with self._changing:
            server = self._server
            if server is None:
                return
            self._set(replace(self.status, state=ServerState.STOPPING))
            await server.stop(waiting=waiting)
            self._server = None
            self._set(replace(self.status, state=ServerState.STOPPED, url="", active=0))
            await self._be_found(None)

    async def _be_found(self, beacon: Beacon | None) -> None:
        """Leave word of the server for other workbenches, or take it away: a convenience, so a failure is logged."""
        path = self._services.paths.beacon
        try:
            if beacon is not None:
                await asyncio.to_thread(leave, path, beacon)
            else:
                await asyncio.to_thread(remove, path)
        except OSError as error:
            log.warning("other workbenches may not hear of the server rightly: %s", error)

    async def abort(self, request_id: str) -> None:
        """End one request; nothing where it has ended already."""
        if self._server is not None:
            self._server.abort(request_id)

    async def aclose(self) -> None:
        """Stop the server and write the log's last lines."""
        try:
            await self.stop()
        finally:
            await asyncio.to_thread(self.log.close)

    # --- news ----------------------------------------------------------------------------------

    def _from_server(
        self,
        loop: asyncio.AbstractEventLoop,
        callback: Callable[[], object],
        *,
        always: bool = False,
    ) -> None:
        """Called in the server's thread; changes of counts that come before the last was told are one."""
        if self._due and not always:
            return
        self._due = self._due or not always
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            log.debug("nobody is left to hear of the server")

    def _count_later(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(PAUSE, self._count_now)

    def _count_now(self) -> None:
        self._due = False
        self._tell()

    def _ended(self, server: RunningServer, error: BaseException | None) -> None:
        """The server's thread is over; unasked only where there is an error."""
        if error is None or server is not self._server or self._changing.locked():
            return
        self._server = None
        reason = "The server has ended by itself. The log file says more."
        self._set(replace(self.status, state=ServerState.FAILED, url="", active=0, reason=reason))

    def _set(self, status: ServerStatus) -> None:
        self._status = status
        self._tell()

    def _tell(self) -> None:
        status = self.status
        for listener in tuple(self._listeners):
            tell(listener, status)
