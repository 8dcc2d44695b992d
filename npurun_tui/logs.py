"""The program's log file: bounded, and the only place that the standard library's logging writes to.

Nothing is ever logged to stdout, which belongs to answers and JSON, nor to the terminal that the workbench draws on.
"""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from npurun_tui.files import keep_private, make_private

LIMIT: Final = 1_000_000
"""Bytes after which the log moves to `<name>.1`; with that one older file, twice as much is kept."""


def configure_logging(path: Path) -> None:
    """Send the program's own records (INFO and up) and everybody's warnings to `path`.

    Logging is a convenience: where the file cannot be opened the program goes on without.
    """
    from logging.handlers import RotatingFileHandler

    class PrivateLog(RotatingFileHandler):
        """Each file it begins, the ones after a rotation too, is its owner's alone."""

        def _open(self) -> TextIOWrapper:
            make_private(Path(self.baseFilename))
            return super()._open()

    root = logging.getLogger()
    try:
        keep_private(path.with_name(f"{path.name}.1"))
        handler: logging.Handler = PrivateLog(
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
