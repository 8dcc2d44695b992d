"""One field of a form, with what F1 says of it."""

from __future__ import annotations

from textual.containers import Horizontal


class FieldRow(Horizontal):
    """A label and its input. The help panel shows the text of the nearest part around the keyboard's."""

    def __init__(self, text: str) -> None:
        """`text` is Markdown, for the help panel."""
        super().__init__(classes="field")
        self.HELP = text  # type: ignore[misc]  # Textual asks each widget for it
