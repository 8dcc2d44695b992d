"""How clients are connected: a list of them, and the text for the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from npurun_tui.server.snippets import Snippet
from npurun_tui.text import printable
from npurun_tui.widgets.copying import copy_from


class ConnectScreen(ModalScreen[None]):
    """Copies a client's text; Escape closes."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("y", "copy", "Copy"),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
        Binding("escape,c,q", "close", "Close"),
    ]

    def __init__(self, snippets: Sequence[Snippet], note: str = "") -> None:
        """`note` stands above all of them."""
        super().__init__()
        self._snippets = snippets
        self._note = note
        self._list = OptionList(
            *(Option(Content(snippet.title)) for snippet in snippets), id="clients"
        )
        self._where = Static(id="snippet-where")
        self._text = Static(id="snippet-text")
        self._more = Static(id="snippet-note")

    def compose(self) -> ComposeResult:
        """Clients on the left, the text on the right."""
        with Vertical(classes="dialog-box", id="connect-box"):
            yield Static("Connect a client", classes="dialog-title")
            if self._note:
                yield Static(Content(self._note), id="connect-note")
            with Horizontal(id="connect-body"):
                yield self._list
                with VerticalScroll(id="snippet", can_focus=False):
                    yield self._where
                    yield self._text
                    yield self._more
            yield Static("Enter or y copies, Escape closes.", classes="dialog-help")

    def on_mount(self) -> None:
        """The first client is under the cursor."""
        self._list.highlighted = 0
        self._list.focus()

    @property
    def _snippet(self) -> Snippet:
        return self._snippets[self._list.highlighted or 0]

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        snippet = self._snippet
        self._where.update(Content(snippet.where))
        self._text.update(Content(printable(snippet.text)))
        self._more.update(Content(snippet.note))
        self._more.display = bool(snippet.note)

    @on(OptionList.OptionSelected)
    def action_copy(self) -> None:
        """Copy the text that is shown."""
        copy_from(self, self._snippet.text)

    def action_move(self, step: int) -> None:
        """Another client."""
        (self._list.action_cursor_down if step > 0 else self._list.action_cursor_up)()

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss(None)
