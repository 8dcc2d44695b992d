"""Writing a bench to a file, whose name's ending says as what."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from npurun_tui.errors import NpurunError
from npurun_tui.files import from_home
from npurun_tui.text import printable
from npurun_tui.widgets.path_input import PathInput

if TYPE_CHECKING:
    from npurun_tui.bench.records import Session

KINDS: Final = {
    ".html": "a report with plots, for a browser",
    ".md": "a table and sentences, for an issue or a README",
    ".csv": "one line for each run, for a spreadsheet",
    ".json": "all of it, for programs",
    ".svg": "a picture of the plots",
}
"""What can be written, by the name's ending."""
_CHOOSE: Final = "\n".join(f"{ending:<6} {what}" for ending, what in KINDS.items())


def as_markdown(session: Session) -> str:
    """For an issue. Blocks: the sentences' intervals cost up to a second."""
    from npurun_tui.bench.exports import EXPORTS

    return EXPORTS[".md"](session, None)


def write(session: Session, path: Path) -> None:
    """Write the file. Blocks.

    Raises:
        UsageError, DiskFull, ExportFailed: it cannot be written.
    """
    from npurun_tui.bench.exports import export

    export(session, path)


def _is_there(path: Path) -> bool:
    """Whether a file would be replaced. Of what cannot even be looked at, the writing says why."""
    try:
        return path.is_file()
    except OSError:
        return False


def proposed_name(session: Session) -> str:
    """A file's name that says what is in it."""
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", session.sides[0].model)[:60].strip("-.") or "model"
    began = datetime.fromtimestamp(session.began).astimezone()
    return f"bench-{model}-{began:%Y%m%d-%H%M}.html"


class BenchExportScreen(ModalScreen[Path | None]):
    """Dismissed with the path that was written, or None. A file that is there is replaced only when asked twice."""

    HELP = """\
    ## Export

    The ending of the file's name says as what it is written: `.html`, `.md`, `.csv`, `.json` or `.svg`. **Tab**
    completes a folder's name, **Enter** writes, **Escape** closes.
    """

    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012 - Textual's way

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._replaces: Path | None = None

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical(classes="dialog-box", id="export-box"):
            yield Static("Export this bench", classes="dialog-title")
            yield Static(Content(_CHOOSE), classes="dialog-help", id="export-kinds")
            with Horizontal(classes="field"):
                yield Label("File", classes="field-label")
                yield PathInput(proposed_name(self._session), compact=True, id="export-path")
            yield Static(id="export-fault", classes="dialog-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Write (enter)", id="write", variant="primary")

    def on_mount(self) -> None:
        """The name can be typed at once; where it goes is said."""
        self._say(f"In {Path.cwd()}, where no folder is named.")
        self.query_one("#export-path", Input).focus()

    def _say(self, words: str, *, fault: bool = False) -> None:
        line = self.query_one("#export-fault", Static)
        line.update(Content(printable(words)))
        line.set_class(fault, "-fault")

    @on(PathInput.Completed)
    def _completed(self, event: PathInput.Completed) -> None:
        if event.names:
            self._say(event.names)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Write nothing."""
        self.dismiss(None)

    @on(Button.Pressed, "#write")
    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._write(self.query_one("#export-path", Input).value.strip())

    @work(exclusive=True)
    async def _write(self, text: str) -> None:
        path = await asyncio.to_thread(from_home, text)
        if path.suffix.lower() not in KINDS:
            self._say(f"The name must end with one of {' '.join(KINDS)}.", fault=True)
            return
        if self._replaces != path and await asyncio.to_thread(_is_there, path):
            self._replaces = path
            self._say(f"{path} is there already. Enter again replaces it.", fault=True)
            return
        self._say("Writing…")
        try:
            await asyncio.to_thread(write, self._session, path)
        except NpurunError as error:
            self._say(str(error), fault=True)
        else:
            self.dismiss(path)
