"""The theme: chosen at start, switched by a key or the palette, and kept for the next start."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from textual.app import App

from npurun_tui.settings import Remembered
from npurun_tui.widgets.notices import say

log = logging.getLogger(__name__)

DARK: Final = "textual-dark"
LIGHT: Final = "textual-light"


class ThemeChoice:
    """The theme of one app."""

    def __init__(self, app: App[None], remembered: Remembered) -> None:
        self._app = app
        self._remembered = remembered
        self._remembering = asyncio.Lock()

    def begin(self, wanted: str) -> None:
        """Use the theme that is `wanted`, else the one of last time; keep what is chosen from now on."""
        app, chosen = self._app, wanted or self._remembered.get("theme")
        if chosen in app.available_themes:
            app.theme = chosen
        elif chosen:
            say(app, f"There is no theme {chosen!r}; the default one is used.", severity="warning")
        app.theme_changed_signal.subscribe(app, lambda _theme: self._remember())

    def toggle(self) -> None:
        """From any dark theme to the light one and back; ANSI themes stay ANSI."""
        now = self._app.current_theme
        dark, light = ("ansi-dark", "ansi-light") if now.ansi else (DARK, LIGHT)
        self._app.theme = light if now.dark else dark

    def _remember(self) -> None:
        self._app.run_worker(self._write(), group="remember")

    async def _write(self) -> None:
        """Keep the theme that is shown when this one's turn comes: of two quick switches the later one stays."""
        async with self._remembering:
            try:
                # Two fsyncs: off the loop, or the switch would stutter on a slow disk.
                await asyncio.to_thread(self._remembered.set, "theme", self._app.theme)
            except OSError as error:
                log.warning("the theme was not remembered: %s", error)
