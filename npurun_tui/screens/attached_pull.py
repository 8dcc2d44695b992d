"""The dialog box for the name of a model that a server elsewhere is to pull."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from npurun_tui.widgets.safe_input import SafeInput


class PullNameScreen(ModalScreen[str]):
    """Dismissed with the name; empty where nothing is to be pulled."""

    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012 - Textual's way

    def __init__(self, where: str) -> None:
        """`where` names the machine."""
        super().__init__()
        self._where = where

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical(classes="dialog-box"):
            yield Static(Content(f"Pull a model on {self._where}"), classes="dialog-title")
            yield Static(
                "By its name in that machine's catalog, such as smollm2-135m-instruct.",
                classes="dialog-text",
            )
            yield SafeInput(compact=True, max_length=200, id="pull-name")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Pull (enter)", id="pull", variant="primary")

    def on_mount(self) -> None:
        """To be typed into at once."""
        self.query_one("#pull-name").focus()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Pull nothing."""
        self.dismiss("")

    @on(Button.Pressed, "#pull")
    @on(Input.Submitted)
    def _pull(self) -> None:
        self.dismiss(self.query_one("#pull-name", SafeInput).value.strip())
