"""A real pseudo-terminal with a program in it, its screen read by pyte.

Used by the end-to-end tests and by the benchmarks: what is measured and asserted is what a person's terminal
would show, not what a test driver inside the program believes. POSIX only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import psutil
import pyte

# Private-mode queries and the kitty keyboard protocol, which pyte would print as text.
_UNKNOWN: Final = re.compile(
    rb"\x1b\[[<>=?][0-9;]*[a-z$]+|\x1bP.*?\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", re.DOTALL
)
_KNOWN_PRIVATE: Final = re.compile(rb"\x1b\[\?[0-9;]*[hl]\Z")


class Terminal:
    """`command` in a terminal of `columns` x `lines`; use it as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        # PYTHONDONTWRITEBYTECODE, which build machines like, would have every start compile everything anew. Readline,
        # which pytest loads, exports a size to all that its process starts, pytest-xdist's workers among them.
        for name in (
            "TMUX",
            "NO_COLOR",
            "TERM_PROGRAM",
            "PYTHONDONTWRITEBYTECODE",
            "COLUMNS",
            "LINES",
        ):
            environment.pop(name, None)
        environment.update(env or {})
        self.began = time.perf_counter()
        self.pid, self._master = pty.fork()
        if self.pid == 0:  # the child: nothing but exec may happen here
            fcntl.ioctl(0, termios.TIOCSWINSZ, _size(columns, lines))
            os.execvpe(command[0], list(command), environment)  # noqa: S606
        self._status: int | None = None
        self.received = 0
        self.last_output = self.began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- what a person does ----------------------------------------------------------------

    def send(self, keys: str | bytes) -> None:
        """Type."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, lines: int) -> None:
        """Pull the window's corner."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(
            self._master, termios.TIOCSWINSZ, _size(columns, lines)
        )  # the kernel sends SIGWINCH

    # -- what a person sees ----------------------------------------------------------------

    @property
    def text(self) -> str:
        """The screen's lines."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, timeout: float) -> bytes:
        """What the program writes next, shown on the screen too; empty after `timeout` seconds or at its end."""
        if not select.select([self._master], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self._master, 1 << 16)
        except OSError as error:
            if error.errno == errno.EIO:  # the other side is closed
                return b""
            raise
        self.received += len(data)
        self.last_output = time.perf_counter()
        return data

    def show(self, data: bytes) -> None:
        """Draw `data` on the screen."""
        self._stream.feed(_UNKNOWN.sub(_keep_known, data))

    def wait_until(self, seen: Callable[[str], bool], timeout: float = 20.0) -> float:
        """Read until the screen is as wanted; the seconds since the program was started.

        Raises:
            TimeoutError: it never was; the text is the screen.
        """
        deadline = time.monotonic() + timeout
        while not seen(self.text):
            if time.monotonic() > deadline or (self.poll() is not None and not self._more()):
                raise TimeoutError(f"the screen stayed like this:\n{self.text}")
            self.show(self.read(0.05))
        return time.perf_counter() - self.began

    def wait_for(self, words: str, timeout: float = 20.0) -> float:
        """`wait_until` the screen shows `words`."""
        return self.wait_until(lambda text: words in text, timeout)

    def settle(self, quiet: float = 0.3, timeout: float = 20.0) -> float:
        """Read until nothing has come for `quiet` seconds; returns when the last output came (perf_counter)."""
        deadline = time.monotonic() + timeout
        self.last_output = time.perf_counter()
        while time.perf_counter() - self.last_output < quiet and time.monotonic() < deadline:
            self.show(self.read(0.02))
        return self.last_output

    def _more(self) -> bool:
        data = self.read(0.0)
        self.show(data)
        return bool(data)

    # -- the process -----------------------------------------------------------------------

    def memory(self) -> int:
        """Resident bytes of the program itself, without its children."""
        rss: int = psutil.Process(self.pid).memory_info().rss
        return rss

    def cpu(self) -> float:
        """Seconds of processor time that the program itself has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def poll(self) -> int | None:
        """The exit status (negative: the signal that ended it), None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float = 20.0) -> int:
        """Read until the program ends; its exit status."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"it does not end:\n{self.text}")
            self.show(self.read(0.05))
        while self._more():
            pass
        return status

    def close(self) -> None:
        """End the program and what it started in its session, by force where it still runs."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)


def _size(columns: int, lines: int) -> bytes:
    return struct.pack("HHHH", lines, columns, 0, 0)


def _keep_known(match: re.Match[bytes]) -> bytes:
    return match[0] if _KNOWN_PRIVATE.match(match[0]) else b""
