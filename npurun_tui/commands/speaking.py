"""Lines on stderr that never hold up who says them: a pipe that nobody reads, or one whose reader is gone, must not
stop a server.

They are written past `sys.stderr`'s buffer, whose lock a thread that is stuck in a write would hold until the
interpreter's end, and the interpreter dies of that.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import suppress
from io import RawIOBase
from typing import Final

WAITING: Final = 1000
"""Lines that wait for the reader of a full pipe; the oldest go beyond that."""


class Speaker:
    """Says lines in order, in a thread of its own. `say` and `finish` may be called from any thread."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._lines: deque[str] = deque(maxlen=waiting)
        self._changed = threading.Condition()
        self._saying = False
        self._thread: threading.Thread | None = None
        self.deaf = False
        """stderr is closed: nothing more is said."""

    def say(self, text: str) -> None:
        """Have a line said soon. Never blocks and never fails."""
        with self._changed:
            if self.deaf:
                return
            self._lines.append(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._say_all, name="stderr", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def finish(self, timeout: float = 1.0) -> None:
        """Wait until all is said, but no longer than `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.deaf or not (self._lines or self._saying), timeout)

    def _say_all(self) -> None:
        while not self.deaf:
            with self._changed:
                self._saying = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                line, self._saying = self._lines.popleft(), True
            try:
                _write(line)
            except (
                OSError,
                ValueError,
                AttributeError,
            ):  # closed, by its reader or by us; none at all
                with self._changed:
                    self.deaf = True
                    self._lines.clear()
                    self._changed.notify_all()


def _write(line: str) -> None:
    """Write all of `line`. Raises OSError or ValueError where stderr is closed or not there."""
    out = sys.stderr
    if out is None:
        raise OSError("there is no stderr")
    # By id: to mypy `is` would say again that there may be none.
    if id(out) != id(sys.__stderr__):
        out.write(f"{line}\n")
        out.flush()
        return
    data = memoryview((line + os.linesep).encode(out.encoding or "utf-8", "backslashreplace"))
    with open(out.fileno(), "wb", buffering=0, closefd=False) as raw:
        _write_raw(raw, data)


def _write_raw(raw: RawIOBase, data: memoryview) -> None:
    while data:
        written = raw.write(data)
        if written is None:  # a pipe that others have made non-blocking, and it is full
            return
        data = data[written:]


def say(text: str) -> None:
    """A line on stderr, where everything but the answer goes; nothing where stderr is closed."""
    if sys.stderr is None:  # `print` would take stdout, where only the answer belongs
        return
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201
