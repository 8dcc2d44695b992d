"""What can be done with one request of the Server tab: looked at, copied as a command, aborted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from textual import on, work

from npurun_tui.errors import NpurunError
from npurun_tui.screens import server_words
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.server_entry import Entry
from npurun_tui.screens.server_folding import holding
from npurun_tui.screens.server_view import ServerView
from npurun_tui.server.replay import Replay, Target, curl_of
from npurun_tui.text import one_line
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.notices import complain, say
from npurun_tui.widgets.row_table import RowTable


class ServerRequests(ServerView):
    """The requests, with what their keys do."""

    async def ask(self, title: str, question: str, *, yes: str, no: str) -> bool:
        """A question; only a worker may ask. True where the answer is yes."""
        return await self.app.push_screen_wait(ConfirmScreen(title, question, yes=yes, no=no))

    @on(RowTable.Selected)
    def _selected(self) -> None:
        self.action_details()

    def action_details(self) -> None:
        """All of the request under the cursor."""
        from npurun_tui.screens.server_details import ServerDetailsScreen

        entry, key = self.entry, self.table.cursor_key or ""
        if entry is None:
            return

        def look() -> Entry:
            return holding(self.state.entries, key) or entry

        self.app.push_screen(ServerDetailsScreen(entry, look, self.replay))

    async def replay(self, entry: Entry) -> Replay:
        """The request as a command.

        Raises:
            StorageError: its body cannot be read.
        """
        row, config = entry.row, self.in_force
        body = None
        if row.request_bytes and not entry.live:
            body = await asyncio.to_thread(self._control.log.body_of, row.request_id)
        target = Target(
            self.url,
            token=bool(config.infer_token),
            admin_token=bool(config.admin_token),
            cert=config.tls_cert,
        )
        return curl_of(replace(row, body=body), target)

    @property
    def url(self) -> str:
        """Where the server is reached, or would be."""
        return self._control.status.url or server_words.address_of(self.in_force)

    def action_copy_curl(self) -> None:
        """Copy the request under the cursor as a command."""
        if self.entry is not None:
            self._copy_curl(self.entry)

    @work(group="curl", exclusive=True)
    async def _copy_curl(self, entry: Entry) -> None:
        try:
            replay = await self.replay(entry)
        except NpurunError as error:
            complain(self, error)
            return
        copy_from(self, replay.command)
        if replay.note:
            say(self, replay.note)

    def action_abort(self) -> None:
        """End the request under the cursor."""
        if self.entry is not None and self.entry.live:
            self.abort(self.entry)

    @work(group="abort")
    async def abort(self, entry: Entry) -> None:
        """End one request, after a question: rows move, and the client gets an error."""
        row = entry.row
        words = (
            f"{entry.client} asked {one_line(row.path, 60)}; it gets an error, or half an answer."
        )
        if await self.ask("Abort this request?", words, yes="Abort", no="No"):
            await self._control.abort(row.request_id)
