"""A crash file instead of a traceback on the screen: where it happened, and nothing of what was said.

Left out on purpose: local variables, and the text of exceptions, since both can hold a prompt, an answer or a token.
The user's home folder is written as `~`.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from npurun_tui import __version__
from npurun_tui.errors import NpurunError
from npurun_tui.files import write_atomic

_SHOWN = ("TERM", "COLORTERM", "TERM_PROGRAM", "LANG", "NO_COLOR", "TMUX", "SSH_TTY", "WT_SESSION")
_FLAGS = frozenset({"TMUX", "SSH_TTY", "WT_SESSION"})
"""Environment of which only the presence matters."""


def write_crash_file(error: BaseException, folder: Path) -> Path:
    """Write the report into `folder` and return its path.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    write_atomic(path, crash_report(error).encode("utf-8", "backslashreplace"))
    return path


def crash_report(
    error: BaseException, *, home: Path | None = None, environ: Mapping[str, str] = os.environ
) -> str:
    """The report as text."""
    text = "\n".join((*_facts(environ), "", *_chain(error), ""))
    folder = str(home or _home())
    return text.replace(folder, "~") if len(folder) > 1 else text


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without an entry in the system's list, and no HOME
        return Path()


def crash_sentence(path: Path | None) -> str:
    """What the user is told once the screen is given back."""
    if path is None:
        return "npurun-tui: stopped by a fault of its own; no crash file could be written."
    return (
        f"npurun-tui: stopped by a fault of its own. {path} says where, without any of your texts; "
        "please send it to the developers."
    )


def _facts(environ: Mapping[str, str]) -> Iterator[str]:
    yield f"npurun-tui {__version__}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()})"
    if textual := sys.modules.get("textual"):
        yield f"Textual {textual.__version__}"
    yield f"{platform.system()} {platform.release()} {platform.machine()}"
    for name in _SHOWN:
        if (value := environ.get(name)) is not None:
            yield f"{name}={'set' if name in _FLAGS else value}"


def _chain(error: BaseException) -> Iterator[str]:
    """The exception, its frames, and the exceptions that led to it, the last one first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield f"{type(current).__module__}.{type(current).__qualname__}{_harmless(current)}"
        for frame in traceback.extract_tb(current.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
            if frame.line:
                yield f"    {frame.line}"
        current = _led_to(current)
        if current is not None:
            yield "caused by:"


def _led_to(error: BaseException) -> BaseException | None:
    """What `error` came of; Textual's WorkerFailed keeps that in an attribute only."""
    inner = getattr(error, "error", None)
    if isinstance(inner, BaseException):
        return inner
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _harmless(error: BaseException) -> str:
    """What an exception says, where that is the system's wording and cannot quote the user."""
    if isinstance(error, OSError) and error.errno is not None:
        return f": [{error.errno}] {os.strerror(error.errno)}"
    return f": {error.message}" if isinstance(error, NpurunError) else ""
