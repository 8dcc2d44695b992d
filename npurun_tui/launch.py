"""Opening the workbench, in the order that makes its first paint quick."""

from __future__ import annotations

import sys

from npurun_tui import pacing
from npurun_tui.errors import UsageError
from npurun_tui.settings import Paths, Settings


def open_workbench(
    paths: Paths, settings: Settings, model: str | None, address: str = "", token: str = ""
) -> int:
    """The workbench, with `model` chosen in Chat where it is given, attached to the server at `address` where that is.

    Raises:
        UsageError: there is no terminal, or `address` is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The workbench needs a terminal.", mend="Use `npurun-tui run` in scripts; see --help."
        )
    pacing.prepare()
    from npurun_tui.app import run_workbench

    return run_workbench(paths, settings, model=model, address=address, token=token)
