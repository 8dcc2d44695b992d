"""The program's log file: bounded, and the only place that the standard library's logging writes to.

Nothing is ever logged to stdout, which belongs to answers and JSON, nor to the terminal that the workbench draws on.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from npurun_tui.files import make_private

LIMIT: Final = 1_000_000
"""Bytes after which the log moves to `<name>.1`; with that one older file, twice as much is kept."""


def configure_logging(path: Path) -> None:
    """Send the program's own records (INFO and up) and everybody's warnings to `path`.

    Logging is a convenience: where the file cannot be opened the program goes on without.
    """
    from logging.handlers import RotatingFileHandler

    root = logging.getLogger()
    try:
        make_private(path)
        handler: logging.Handler = RotatingFileHandler(
            path, maxBytes=LIMIT, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
    except OSError:
        # Without any handler Python would print warnings on stderr, over the workbench.
        handler = logging.NullHandler()
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s")
    )
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("npurun_tui").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a full disk must not print tracebacks over the workbench
