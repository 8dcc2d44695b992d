"""The question whether to attach to a server of this program that runs on this machine already."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from npurun_tui.widgets.safe_input import SafeInput


class AttachScreen(ModalScreen[str | None]):
    """Dismissed with the token to attach with (empty where none is asked for), or None: stay."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("a", "attach", "Attach"),
        Binding("s,escape", "stay", "Stay"),
        Binding("left,right,up,down", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, url: str, pid: int, *, token: bool, known: str = "") -> None:
        """`token`: the server asks for one; `known` is what the person has given for that."""
        super().__init__()
        self._words = (
            f"A server of this program runs at {url} (process {pid}). Attach to it? "
            "Its model, and the NPU where there is one, are in use there."
        )
        self._token = token
        self._known = known

    def compose(self) -> ComposeResult:
        """The harmless button has the keyboard."""
        with Vertical(classes="dialog-box"):
            yield Static("Attach to the running server?", classes="dialog-title")
            yield Static(Content(self._words), classes="dialog-text")
            if self._token:
                yield Static("It asks for a token:", classes="dialog-help")
                yield SafeInput(self._known, password=True, compact=True, id="attach-token")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Stay (s)", id="stay")
                yield Button("Attach (a)", id="attach", variant="primary")

    def on_mount(self) -> None:
        """Enter alone changes nothing."""
        self.query_one("#stay").focus()

    @on(Button.Pressed, "#attach")
    @on(Input.Submitted)
    def action_attach(self) -> None:
        """Attach, with the token that was typed."""
        fields = self.query("#attach-token").results(SafeInput)
        self.dismiss(next((field.value.strip() for field in fields), ""))

    @on(Button.Pressed, "#stay")
    def action_stay(self) -> None:
        """Go on here."""
        self.dismiss(None)
