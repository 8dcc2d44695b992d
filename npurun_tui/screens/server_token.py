"""The only time that a new token is shown."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from npurun_tui.screens.server_settings import Chosen
from npurun_tui.server.replay import ADMIN_TOKEN, TOKEN
from npurun_tui.widgets.copying import copy_from

_WORDS = (
    "Only its hash is kept: this is the one time that it can be read. Clients send it as their API key, or as "
    "Authorization: Bearer TOKEN."
)


class TokenScreen(ModalScreen[None]):
    """Shows one or two tokens, and copies each."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("y", "copy(0)", "Copy"),
        Binding("Y", "copy(1)", "Copy the admin token", show=False),
        Binding("escape", "close", "Close"),
    ]

    def __init__(self, chosen: Chosen) -> None:
        super().__init__()
        self._tokens = list(_named(chosen))

    def compose(self) -> ComposeResult:
        """Each token on a line of its own, where a mouse can select it."""
        with Vertical(classes="dialog-box", id="token-box"):
            yield Static("New token", classes="dialog-title")
            yield Static(_WORDS, classes="dialog-text")
            for index, (title, token) in enumerate(self._tokens):
                yield Static(Content(title), classes="token-title")
                yield Static(Content(token), classes="token", id=f"token-{index}")
            with Horizontal(classes="dialog-buttons"):
                if len(self._tokens) > 1:
                    yield Button("Copy the admin token (Y)", id="copy-1")
                yield Button("Copy (y)", id="copy-0", variant="primary")
                yield Button("Close (esc)", id="close")

    def on_mount(self) -> None:
        """Copying comes first."""
        self.query_one("#copy-0").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Copy, or close."""
        if event.button.id == "close":
            self.dismiss(None)
        else:
            self.action_copy(int(event.button.id == "copy-1"))

    def action_copy(self, index: int) -> None:
        """Copy one of them."""
        if index < len(self._tokens):
            copy_from(self, self._tokens[index][1])

    def action_close(self) -> None:
        """They are not shown again."""
        self.dismiss(None)


def _named(chosen: Chosen) -> Iterator[tuple[str, str]]:
    if chosen.token:
        yield f"Token (${TOKEN})", chosen.token
    if chosen.admin_token:
        yield f"Admin token (${ADMIN_TOKEN})", chosen.admin_token
