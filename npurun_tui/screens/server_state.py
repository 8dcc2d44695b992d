"""What the Server tab knows: the requests, live and ended, and the set-up. Knows no Textual."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from npurun_tui.errors import NpurunError
from npurun_tui.screens.server_entry import Entry, doing, matches, ordered
from npurun_tui.screens.server_folding import folded, is_flooded
from npurun_tui.server.log import PROBES, row_of
from npurun_tui.server.others import servers_of

if TYPE_CHECKING:
    from npurun_tui.server.log import RequestLog
    from npurun_tui.storage.requests import RequestRow

LIMIT: Final = 200
"""Rows of the log that are read; a filter looks through all of them."""
FLOOD: Final = 2000
"""Rows that are read where most are refusals, which are folded: as far back are they counted. Twice a second at most
that costs 28 ms in a thread, where 200 rows take 5, and 6 ms on the screen's loop."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One reading of the log."""

    rows: Sequence[RequestRow] = ()
    """What the words of the filter are in."""
    latest: Sequence[RequestRow] = ()
    """The newest ones of this process's servers, whatever the filter says."""
    fault: str = ""
    servers: Mapping[int, str] = field(default_factory=dict)
    """The names of the other servers among them, by their processes."""


def read(log: RequestLog, words: str) -> Seen:
    """Read the log. Blocks. Watchers' requests are shown only to somebody who looks for them."""
    own = os.getpid()
    try:
        latest = log.recent(LIMIT, without=PROBES, bodies=False)
        if len(latest) == LIMIT and is_flooded(latest):
            latest = log.recent(FLOOD, without=PROBES, bodies=False)
        rows = log.recent(LIMIT, words, bodies=False) if words else latest
    except NpurunError as error:
        return Seen(fault=str(error))
    ours = [row for row in latest if row.process in (0, own)]
    return Seen(rows, ours, log.fault, servers_of(rows, own))


@dataclass
class RequestsState:
    """The requests as they were last seen."""

    log: RequestLog
    words: str = ""
    seen: Seen = field(default_factory=Seen)
    entries: dict[str, Entry] = field(default_factory=dict)
    """By the table's keys, in its order: those on their way first."""
    _live: dict[str, Entry] = field(default_factory=dict)
    _ended: dict[str, Entry] = field(default_factory=dict)
    """By their ids."""
    _shown: dict[str, Entry] = field(default_factory=dict)
    """What is shown of them, by the table's keys."""

    @property
    def live(self) -> bool:
        """Something is on its way."""
        return bool(self._live)

    def look(self) -> bool:
        """Look at what is on its way; True where something has ended since, which the log must be read for."""
        now = self._on_the_way()
        # What has ended is shown as it was until it is in the log: else it would be gone for a moment.
        gone = {key: entry for key, entry in self._live.items() if key not in now}
        kept = {key: entry for key, entry in gone.items() if key not in self._ended}
        both = (*now.values(), *kept.values())
        self._live = {entry.row.request_id: entry for entry in ordered(both)}
        self._arrange()
        return bool(kept)

    def take(self, seen: Seen, words: str) -> None:
        """What the log said, asked with `words`."""
        self.seen, self.words = seen, words
        before = self._ended  # whose cells are made already
        self._ended = {
            row.request_id: _same(before, row, seen.servers.get(row.process, ""))
            for row in seen.rows
        }
        self._live = self._on_the_way()
        self._fold()
        self._arrange()

    def _fold(self) -> None:
        """Who filters looks for single requests."""
        ended = ordered(self._ended.values())
        self._shown = folded(ended) if not self.words else {e.row.request_id: e for e in ended}

    def _arrange(self) -> None:
        """The log's are filtered already. Not folded anew: this is done twice a second while something runs."""
        on_the_way = {
            key: entry
            for key, entry in self._live.items()
            if key not in self._ended and matches(entry, self.words)
        }
        self.entries = {**on_the_way, **self._shown}

    def _on_the_way(self) -> dict[str, Entry]:
        return {
            record.id: Entry(row_of(record), doing(record))
            for record in self.log.live()
            if self.words or record.path not in PROBES
        }


def _same(before: Mapping[str, Entry], row: RequestRow, server: str) -> Entry:
    """The entry of `row`, made anew only where it is another one."""
    entry = before.get(row.request_id)
    same = entry is not None and entry.row == row and entry.server == server
    return entry if entry is not None and same else Entry(row, server=server)
