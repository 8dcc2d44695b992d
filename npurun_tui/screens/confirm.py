"""A question before something that cannot be taken back: what will happen, and two buttons."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class ConfirmScreen(ModalScreen[bool]):
    """Dismissed with True only where the person said yes; Escape is no."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right,up,down", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, title: str, question: str, *, yes: str, no: str) -> None:
        """`yes` and `no` are the buttons' words; both texts are shown as they are."""
        super().__init__()
        self.asks = title
        self._question = question
        self._title_line = Static(Content(title), classes="dialog-title")
        self._text = Static(Content(question), classes="dialog-text")
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """A box in the middle; the harmless button has the keyboard."""
        with Vertical(classes="dialog-box"):
            yield self._title_line
            yield self._text
            with Horizontal(classes="dialog-buttons"):
                yield Button(Content(f"{self._no} (n)"), id="no")
                yield Button(Content(f"{self._yes} (y)"), id="yes", variant="error")

    def on_mount(self) -> None:
        """One question at a time: two keys that arrive in one read would ask twice."""
        before = self.app.screen_stack[: self.app.screen_stack.index(self)]
        asked = (screen.asks for screen in before if isinstance(screen, ConfirmScreen))
        if self.asks in asked:
            self.dismiss(False)

    def reword(self, title: str, question: str) -> None:
        """Ask something else with the same buttons."""
        if (title, question) != (self.asks, self._question):  # an update lays out the whole box
            self.asks, self._question = title, question
            self._title_line.update(Content(title))
            self._text.update(Content(question))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer with the button's meaning."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)
