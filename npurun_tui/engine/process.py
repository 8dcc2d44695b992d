"""The engine process as its parent sees it: started, spoken to, watched, ended.

A native library can hang, wedge or abort its process; none of that may reach the workbench. Each call carries a
limit of silence: when neither an answer nor a sign of progress comes for that long, the process is ended and every call
fails with `EngineCrashed`, which says why in words.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from npurun_tui import units
from npurun_tui.engine import wire
from npurun_tui.engine.exits import describe_exit
from npurun_tui.errors import EngineCrashed, EngineLoadFailed

log = logging.getLogger(__name__)

START_TIMEOUT: Final = 60.0
"""Seconds for the child's Python to start; a cold disk on a laptop needs some."""
CLOSE_TIMEOUT: Final = 2.0
LOG_LIMIT: Final = 1_000_000

OnToken = Callable[[str, int], None]
OnProgress = Callable[[int, int], None]


@dataclass(eq=False)
class _Call:
    operation: str
    answer: asyncio.Future[Any]
    on_token: OnToken | None
    on_progress: OnProgress | None
    last_sign: float
    timer: asyncio.TimerHandle | None = None


class HostProcess(asyncio.SubprocessProtocol):
    """One child process. Make one with `start`; it is of no more use after `exited`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = wire.LineBuffer()
        self._calls: dict[int, _Call] = {}
        self._last_id = 0
        self._transport: asyncio.SubprocessTransport | None = None
        self._pipe: asyncio.WriteTransport | None = None
        self._why = ""
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[str] = self._loop.create_future()
        """Done when the process has ended; the result says why, in words."""

    @classmethod
    async def start(cls, log_file: Path, command: tuple[str, ...] = ()) -> HostProcess:
        """Start the child and wait for its first line.

        `log_file` receives what the child and its native libraries print.

        Raises:
            EngineLoadFailed: the system refuses to start it, or its log cannot be written.
            EngineCrashed: it ended at once, or said nothing for a minute.
        """
        command = command or (sys.executable, "-m", "npurun_tui.engine.host")
        try:
            _prepare_log(log_file)
            _, host = await asyncio.get_running_loop().subprocess_exec(
                cls, *command, str(log_file), stderr=subprocess.DEVNULL, **_detached()
            )
        except OSError as error:
            raise EngineLoadFailed(f"The engine process could not be started: {error}.") from error
        await host.greeted()
        return host

    async def greeted(self) -> None:
        """Wait for the child's first line; end the child where it does not come."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._hello
        except TimeoutError:
            self.kill(f"it did not start within {units.duration(START_TIMEOUT)}")
            raise self._crash() from None
        except asyncio.CancelledError:
            self.kill("its start was cancelled")
            await asyncio.wait({self.exited})
            raise

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._transport.get_pid() if self._transport is not None else None

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    # -- calls -----------------------------------------------------------------------------

    def begin(
        self,
        operation: str,
        *,
        silence: float | None = None,
        on_token: OnToken | None = None,
        on_progress: OnProgress | None = None,
        **arguments: Any,
    ) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; the future gives its answer, an NpurunError, or EngineCrashed."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self.alive or self._pipe is None:
            answer.set_exception(self._crash())
            return 0, answer
        self._last_id += 1
        number = self._last_id
        call = _Call(operation, answer, on_token, on_progress, self._loop.time())
        self._calls[number] = call
        if silence is not None:
            call.timer = self._loop.call_later(silence, self._watch, call, silence)
        self._pipe.write(wire.encode({"id": number, "op": operation, **arguments}))
        return number, answer

    async def call(self, operation: str, *, silence: float | None = None, **arguments: Any) -> Any:
        """Send a request and wait for its answer."""
        return await self.begin(operation, silence=silence, **arguments)[1]

    def signal(self, query: int, action: int) -> None:
        """Ask the running query `query` to stop; its own answer says when it has."""
        if self.alive and self._pipe is not None:
            self._pipe.write(wire.encode({"op": "signal", "query": query, "action": action}))

    def kill(self, why: str) -> None:
        """End the process now; `why` goes into the error of every open call."""
        if self.alive and self._transport is not None:
            self._why = self._why or why
            try:
                self._transport.kill()
            except ProcessLookupError:
                log.debug("the engine process had ended already")

    async def close(self) -> None:
        """End the process: by closing its pipe, by force when it takes longer than two seconds."""
        self._why = self._why or "it was ended with its workbench"
        if self._pipe is not None:
            self._pipe.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.shield(self.exited)
        except TimeoutError:
            self.kill("it did not end by itself")
            await asyncio.shield(self.exited)
        finally:
            if self.alive:
                self.kill("its end was cancelled")

    # -- what the event loop calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        del fd
        try:
            for line in self._lines.feed(data):
                self._receive(wire.decode(line))
        except (ValueError, KeyError, TypeError):
            log.exception("the engine process sent something that is not a message")
            self.kill("it sent something that is not a message")

    def process_exited(self) -> None:
        if self._transport is None or self.exited.done():
            return
        code = self._transport.get_returncode()
        self._transport.close()
        self.exited.set_result(self._why or describe_exit(code if code is not None else 0))
        log.info("the engine process ended: %s", self.exited.result())
        crash = self._crash()
        if not self._hello.done():
            self._hello.set_exception(crash)
            self._hello.exception()  # a start that was cancelled has nobody to hear of it
        for call in self._calls.values():
            self._settle(call, error=crash)
        self._calls.clear()

    def _receive(self, message: dict[str, Any]) -> None:
        if "hello" in message:
            if not self._hello.done():
                self._hello.set_result(None)
            return
        call = self._calls.get(message["id"])
        if call is None:
            return
        call.last_sign = self._loop.time()
        if token := message.get("t"):
            if call.on_token is not None:
                call.on_token(token[0], token[1])
        elif progress := message.get("p"):
            if call.on_progress is not None:
                call.on_progress(progress[0], progress[1])
        else:
            del self._calls[message["id"]]
            if "error" in message:
                self._settle(call, error=wire.decode_error(message["error"]))
            else:
                self._settle(call, value=message["ok"])

    def _settle(self, call: _Call, *, value: Any = None, error: Exception | None = None) -> None:
        if call.timer is not None:
            call.timer.cancel()
        if call.answer.done():
            return
        if error is None:
            call.answer.set_result(value)
        else:
            call.answer.set_exception(error)

    def _watch(self, call: _Call, silence: float) -> None:
        left = call.last_sign + silence - self._loop.time()
        if left > 0:
            call.timer = self._loop.call_later(left, self._watch, call, silence)
            return
        self.kill(f"it gave no sign of life for {units.duration(silence)} ({call.operation})")

    def _crash(self) -> EngineCrashed:
        why = self.exited.result() if self.exited.done() else self._why
        return EngineCrashed(
            f"The engine process ended: {why}.", mend="The engine log has the details."
        )


def _prepare_log(path: Path) -> None:
    """Make the log's folder, and keep one earlier log when this one has grown long."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".1.log"))
    except FileNotFoundError:
        pass
    except OSError as error:
        # Windows refuses while another workbench's engine writes into it: it just grows on.
        log.info("the engine log was not turned over: %s", error)


def _detached() -> dict[str, Any]:
    """Keep the terminal's Ctrl+C and hang-up away from the child; the pipe's end is what ends it."""
    if os.name == "nt":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}
