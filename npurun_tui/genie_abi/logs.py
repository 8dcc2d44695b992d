"""Logs: to the client's callback, as a printf format and its arguments, or to stdout in Genie's form."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Final

from npurun_tui.genie_abi.failure import invalid_argument
from npurun_tui.genie_abi.library import Library

_LEVELS: Final = {1: "ERROR", 2: "WARN", 3: "INFO", 4: "VERBOSE"}
_STARTED: Final = time.perf_counter_ns()
CREATED: Final = "Genie Logger created with level : %s"


@dataclass(eq=False, slots=True)
class Log:
    """A level and where messages go."""

    level: int
    callback: Any
    handle: Any = None

    def write(self, library: Library, level: int, form: str, text: str) -> None:
        """Tell `form` with its one `%s` argument `text`, where the level is high enough."""
        if level > self.level:
            return
        ffi, at = library.ffi, time.perf_counter_ns() - _STARTED
        if self.callback != ffi.NULL:
            library.lib.npurun_log(
                self.callback, self.handle, level, at, form.encode(), text.encode()
            )
            return
        line = f"\nGenie:{at / 1e6:9.1f}ms [{_LEVELS[level]:>7} ] {form.replace('%s', text)}"
        os.write(1, line.encode())


def create(library: Library, config: Any, callback: Any, level: int, out: Any) -> int:
    """`GenieLog_create`: the config must be NULL."""
    if config != library.ffi.NULL:
        raise invalid_argument("A log has no config.")
    library.need(out)
    if level not in _LEVELS:
        raise invalid_argument("There is no such log level.")
    log = Log(level, callback)
    library.give(out, log)
    log.handle = out[0]
    log.write(library, 3, CREATED, str(level))
    return 0


def free(library: Library, handle: Any) -> int:
    """`GenieLog_free`; it may be bound."""
    library.free(handle, Log)
    return 0
