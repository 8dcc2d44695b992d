"""The table of a bench's runs: the newest at the top, the one that goes before all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.events import Resize

from npurun_tui.screens.bench_rows import COLUMNS, LIVE, PROMPT, cells_of, key_of
from npurun_tui.screens.server_table import RequestTable
from npurun_tui.widgets.row_table import Row

if TYPE_CHECKING:
    from npurun_tui.bench.records import Run


class BenchTable(RequestTable):
    """There may be ten thousand runs: each one's cells are made once, and while only the run that goes changes, only
    its line is drawn."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._made: list[tuple[str, Row]] = []
        self._made_of: object = None

    def show_runs(self, source: object, runs: Sequence[Run], live: Row | None) -> None:
        """Show `runs`, which only grow as long as `source` is the same, and the one that goes."""
        if self._made_of is not source:
            self._made_of, self._made = source, []
            self._rows = {}  # whose keys mean others now
        known = len(self._made)
        for index in range(known, len(runs)):
            self._made.append((key_of(index), cells_of(runs[index])))
        if known == len(runs) and live and LIVE in self.keys[:1]:
            self._change(LIVE, live)
            return
        if known == len(runs) == len(self.keys) and not live:
            return
        rows: dict[str, Row] = {LIVE: live} if live else {}
        rows.update(reversed(self._made))
        self.update_rows(rows)

    def _change(self, key: str, row: Row) -> None:
        if self._rows[key] != row:
            self._rows[key] = row
            self.refresh_line(1 + self._keys.index(key))

    def run_at_cursor(self, runs: Sequence[Run]) -> Run | None:
        """The ended run under the cursor."""
        key = self.cursor_key
        if key is None or key == LIVE or int(key) >= len(runs):
            return None
        return runs[int(key)]

    def on_resize(self, event: Resize) -> None:
        """Lay the columns out: the table's width does not follow from the terminal's alone."""
        if event.size.width:
            self.fit(COLUMNS, event.size.width, grower=PROMPT)
