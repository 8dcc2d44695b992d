"""Telling the person something, from any screen: always plain text, never markup."""

from __future__ import annotations

from typing import Protocol

from textual.notifications import SeverityLevel

from npurun_tui.errors import NpurunError
from npurun_tui.text import printable


class Notifier(Protocol):
    """An app, a screen or a widget."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a notice in a corner for `timeout` seconds."""


def say(node: Notifier, text: str, *, severity: SeverityLevel = "information") -> None:
    """Show a sentence for as long as it takes to read."""
    seconds = 3.0 + len(text) / 20
    node.notify(printable(text), severity=severity, timeout=seconds, markup=False)


def complain(node: Notifier, error: NpurunError) -> None:
    """Show what went wrong and how to mend it."""
    say(node, str(error), severity="error")
