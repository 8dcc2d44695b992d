"""All that is known of one request, and the command that asks it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from npurun_tui.errors import NpurunError
from npurun_tui.screens.server_entry import Entry, facts_of, run_lines
from npurun_tui.text import one_line, printable
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.facts import FactsPanel
from npurun_tui.widgets.notices import complain

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from npurun_tui.server.replay import Replay

REFRESH: Final = 0.5
"""Seconds between two looks at a request on its way."""
SHOWN: Final = 2000
"""Characters of the command that are drawn; all of it is copied."""


class ServerDetailsScreen(ModalScreen[None]):
    """One request; follows it while it is on its way."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("y", "copy", "Copy curl"),
        Binding("escape,d,enter,q", "close", "Close"),
    ]

    def __init__(
        self,
        entry: Entry,
        look: Callable[[], Entry],
        replay: Callable[[Entry], Awaitable[Replay]],
    ) -> None:
        """`look` gives the request as it is now; `replay` may read the disk and raise NpurunError."""
        super().__init__()
        self._entry = entry
        self._look = look
        self._replay_of = replay
        self._replay: Replay | None = None
        self._panel = FactsPanel(id="server-facts")

    def compose(self) -> ComposeResult:
        """The facts with the command below them, and the keys."""
        with Vertical(classes="dialog-box", id="server-details"):
            yield self._panel
            yield Static("y copies the command, Escape closes.", classes="dialog-help")

    def on_mount(self) -> None:
        """Show what is known; the command comes when its body has been read."""
        self._show()
        self._panel.focus()
        self._find_replay()
        self.set_interval(REFRESH, self._follow)

    def _follow(self) -> None:
        if self._entry.live:
            self._entry = self._look()
            self._show()
            if not self._entry.live:
                self._find_replay()

    @work(exclusive=True)
    async def _find_replay(self) -> None:
        try:
            self._replay = await self._replay_of(self._entry)
        except NpurunError as error:
            complain(self, error)
        self._show()

    def _show(self) -> None:
        row = self._entry.row
        heading = f"{one_line(row.method, 10)} {one_line(row.path, 200)}"
        warnings = [one_line(line, 300) for line in row.warnings.splitlines()]
        sections = [("What the client was told", warnings)] if warnings else []
        if self._replay is not None:
            lines = _command_lines(self._replay)
            if self._replay.note:  # beside what it is about
                lines = [one_line(self._replay.note, 300), *lines]
            sections.append(("The same again", lines))
        if self._entry.run:
            sections.append(("Each of them", run_lines(self._entry.run)))
        self._panel.say(
            heading, facts=facts_of(self._entry), sections=sections,
        )  # fmt: skip

    def action_copy(self) -> None:
        """Copy the command."""
        if self._replay is not None:
            copy_from(self, self._replay.command)

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss(None)


def _command_lines(replay: Replay) -> list[str]:
    text = printable(replay.command)
    if len(text) > SHOWN:
        text = f"{text[:SHOWN]}…"
    return text.splitlines()
