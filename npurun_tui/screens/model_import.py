"""The dialog box that brings a model from a folder: the path, a name, and what becomes of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from npurun_tui.screens.model_local import How, Import, Wish
from npurun_tui.text import printable
from npurun_tui.widgets.path_input import PathInput
from npurun_tui.widgets.safe_input import SafeInput

_WAYS: Final[tuple[tuple[How, str], ...]] = (
    ("copy", "copy: what is there stays as it is"),
    ("link", "link: takes no room; only within one volume"),
    ("move", "move: its files are gone there afterwards"),
)
_EXTRAS: Final = ("name", "arch", "quant")
_HELP: Final = "Tab completes the path, ↓ goes to the next line."


class ImportScreen(ModalScreen[None]):
    """Closed once the first bytes are on their way; what is wrong before is said in its own line, and it stays."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s", "begin", "Import"),
    ]

    def __init__(self, wish: Wish, fault: str, begin: Callable[[Wish], Import]) -> None:
        """`wish` and `fault` are what an earlier try was left with; `begin` starts work that goes on by itself."""
        super().__init__()
        self._wish = wish
        self._fault = fault
        self._begin = begin
        self._job: Import | None = None

    def compose(self) -> ComposeResult:
        """The fields, one line for help and faults, two buttons."""
        with Vertical(classes="dialog-box", id="import-box"):
            yield Static("Import a model", classes="dialog-title")
            with Horizontal(classes="field"):
                yield Label("From", classes="field-label")
                yield PathInput(
                    self._wish.source,
                    placeholder="a folder or a .gguf file",
                    compact=True,
                    id="source",
                )
            for key, label, value, placeholder in self._extras():
                with Horizontal(classes="field"):
                    yield Label(label, classes="field-label")
                    yield SafeInput(value, placeholder=placeholder, compact=True, id=key)
            with Horizontal(classes="field"):
                yield Label("Files", classes="field-label")
                yield Select(
                    [(words, how) for how, words in _WAYS],
                    value=self._wish.how,
                    allow_blank=False,
                    compact=True,
                    id="how",
                )
            yield Static(id="import-line", classes="dialog-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Import (ctrl+s)", id="begin", variant="primary")

    def _extras(self) -> Iterable[tuple[str, str, str, str]]:
        """Fields that may stay empty: id, label, value, placeholder."""
        wish = self._wish
        yield "name", "Name", wish.name, "as the folder or file"
        yield "arch", "Architecture", wish.arch, "only where no file says it, such as qwen3"
        yield "quant", "Quantisation", wish.quant, "only where no file says it, such as w4a16"

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
        source, name, arch, quant = (
            self.query_one(f"#{key}", SafeInput).value for key in ("source", *_EXTRAS)
        )
        chosen = self.query_one("#how", Select).value
        how = next(way for way, _ in _WAYS if way == chosen)
        return Wish(source, name, arch, quant, how)

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
            self._say("The path is missing.", fault=True)
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
            self.query_one(f"#{job.missing[0] if job.missing else 'source'}").focus()
        else:
            job.left = True
            self.dismiss(None)
