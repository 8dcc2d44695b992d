"""Copying from any widget by the same roads, and saying what became of it."""

from __future__ import annotations

from typing import cast

from textual.widget import Widget

from npurun_tui.widgets.clipboard import CopyingApp, copy
from npurun_tui.widgets.notices import say


def copy_from(widget: Widget, text: str) -> None:
    """Copy `text` and tell the person. It is the app's work: a dialog box that is closed meanwhile stops nothing."""
    app = widget.app

    async def copying() -> None:
        copied = await copy(cast("CopyingApp", app), text)
        say(app, copied.sentence)

    app.run_worker(copying(), group="copy", exclusive=True)
