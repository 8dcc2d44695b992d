"""The dialog box that brings a model from a folder: the path, a name, and what becomes of the files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, RadioButton, RadioSet, Static

from npurun_tui.screens.model_local import How, Import, Wish
from npurun_tui.text import printable
from npurun_tui.widgets.path_input import PathInput
from npurun_tui.widgets.safe_input import SafeInput

_WAYS: Final[tuple[tuple[How, str], ...]] = (
    ("copy", "copy: the folder stays as it is"),
    ("link", "link: no room needed; the folder has to stay"),
    ("move", "move: the folder is gone afterwards"),
)
_HELP: Final = "Tab completes the path."


class ImportScreen(ModalScreen[None]):
    """Closed once the first bytes are on their way; what is wrong before is said in its own line, and it stays."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s", "begin", "Import", priority=True),
    ]

    def __init__(self, wish: Wish, fault: str, begin: Callable[[Wish], Import]) -> None:
        """`wish` and `fault` are what an earlier try was left with; `begin` starts work that goes on by itself."""
        super().__init__()
        self._wish = wish
        self._fault = fault
        self._begin = begin
        self._job: Import | None = None

    def compose(self) -> ComposeResult:
        """Three fields, one line for help and faults, two buttons."""
        with Vertical(classes="dialog-box", id="import-box"):
            yield Static("Import a model", classes="dialog-title")
            with Horizontal(classes="field"):
                yield Label("Folder", classes="field-label")
                yield PathInput(
                    self._wish.source, placeholder="~/models/…", compact=True, id="source"
                )
            with Horizontal(classes="field"):
                yield Label("Name", classes="field-label")
                yield SafeInput(
                    self._wish.name, placeholder="as the folder", compact=True, id="name"
                )
            with RadioSet(id="how", compact=True):
                for how, words in _WAYS:
                    yield RadioButton(words, value=how == self._wish.how, id=how)
            yield Static(id="import-line", classes="dialog-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Import (ctrl+s)", id="begin", variant="primary")

    def on_mount(self) -> None:
        """The path comes first."""
        self._say(self._fault or _HELP, fault=bool(self._fault))
        self.query_one("#source").focus()

    def _say(self, words: str, *, fault: bool = False) -> None:
        line = self.query_one("#import-line", Static)
        line.update(Content(printable(words)))
        line.set_class(fault, "-fault")

    @property
    def _filled(self) -> Wish:
        pressed = self.query_one(RadioSet).pressed_index
        return Wish(
            self.query_one("#source", SafeInput).value,
            self.query_one("#name", SafeInput).value,
            _WAYS[max(0, pressed)][0],
        )

    @on(PathInput.Completed)
    def _completed(self, event: PathInput.Completed) -> None:
        self._say(event.names or _HELP)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Stop what has begun; else close."""
        if self._job is not None:
            self._job.stop()
        else:
            self.dismiss(None)

    @on(Button.Pressed, "#begin")
    @on(Input.Submitted)
    def action_begin(self) -> None:
        """Begin, where there is a path and nothing runs."""
        wish = self._filled
        if not wish.source.strip():
            self._say("The folder's path is missing.", fault=True)
            self.query_one("#source").focus()
        elif self._job is None:
            self._job = job = self._begin(wish)
            self._say("Looking at it… Escape stops it.")
            self._follow(job)

    @work
    async def _follow(self, job: Import) -> None:
        """Close when it moves or is done; stay, with the reason, where it failed."""
        await job.settled.wait()
        self._job = None
        if job.fault:
            self._say(job.fault, fault=True)
            self.query_one("#source").focus()
        else:
            job.left = True
            self.dismiss(None)
