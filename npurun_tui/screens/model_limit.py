"""The dialog box for the bandwidth that all pulls together may take."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from npurun_tui import units
from npurun_tui.widgets.safe_input import SafeInput

_HELP = "Such as 500k or 2M; 0 is no limit."


class LimitScreen(ModalScreen[int | None]):
    """Dismissed with bytes per second (0: no limit), or None where nothing is to change."""

    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012 - Textual's way

    def __init__(self, rate: int) -> None:
        """`rate` is the limit now."""
        super().__init__()
        self._rate = rate

    def compose(self) -> ComposeResult:
        """One field, with its help, or what is wrong with it, below."""
        now = f"{units.size(self._rate)}/s" if self._rate else "no limit"
        with Vertical(classes="dialog-box"):
            yield Static("Bandwidth limit", classes="dialog-title")
            yield Static(
                f"All pulls together, bytes per second, until the program ends. Now: {now}.",
                classes="dialog-text",
            )
            yield SafeInput(units.size(self._rate) if self._rate else "0", compact=True, id="rate")
            yield Static(_HELP, classes="dialog-help", id="rate-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Set (enter)", id="set", variant="primary")

    def on_mount(self) -> None:
        """Typing replaces what is there."""
        field = self.query_one("#rate", SafeInput)
        field.focus()
        field.select_all()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)

    @on(Button.Pressed, "#set")
    @on(Input.Submitted)
    def _set(self) -> None:
        from npurun_tui.models.pull.limiter import parse_rate

        try:
            rate = parse_rate(self.query_one("#rate", SafeInput).value)
        except ValueError as error:
            line = self.query_one("#rate-help", Static)
            line.update(Content(f"It {error}."))
            line.add_class("-fault")
            self.query_one("#rate").focus()
        else:
            self.dismiss(rate)
