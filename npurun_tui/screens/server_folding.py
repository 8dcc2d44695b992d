"""Refusals of a flood in one row: a client that retries at once would push everything else off the screen.

A stretch of requests that were all refused with 429 is shown as one row for each client and route in it, so that two
clients that take turns are two rows, also where two machines have the same program. Any other request between them ends
a stretch: the order of events stays. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from npurun_tui.screens.server_entry import Entry

if TYPE_CHECKING:
    from npurun_tui.storage.requests import RequestRow

REFUSED: Final = 429


def is_refused(row: RequestRow) -> bool:
    """It found the line full."""
    return row.status == REFUSED


def is_flooded(rows: Sequence[RequestRow]) -> bool:
    """Refusals are most of what was read: it is worth reading on for what they hide."""
    return sum(map(is_refused, rows)) * 2 > len(rows)


def folded(entries: Iterable[Entry]) -> dict[str, Entry]:
    """`entries`, the newest first, by the keys of their rows in the table.

    A row's key is the id of its oldest request: it stays the same row while newer ones come to it.
    """
    shown: dict[str, Entry] = {}
    stretch: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        if is_refused(entry.row) and not entry.live:
            stretch.setdefault(_whose(entry), []).append(entry)
            continue
        _put(shown, stretch)
        shown[entry.row.request_id] = entry
    _put(shown, stretch)
    return shown


def holding(entries: Mapping[str, Entry], request_id: str) -> Entry | None:
    """The entry of a request, which may have come into a folded row since it was last seen."""
    if (entry := entries.get(request_id)) is not None:
        return entry
    runs = (entry for entry in entries.values() if entry.run)
    held = (entry for entry in runs if any(row.request_id == request_id for row in entry.run))
    return next(held, None)


def _whose(entry: Entry) -> tuple[str, ...]:
    row = entry.row
    return (row.client, row.peer, row.method, row.path, entry.server)


def _put(shown: dict[str, Entry], stretch: dict[tuple[str, ...], list[Entry]]) -> None:
    for run in stretch.values():
        newest, oldest = run[0], run[-1]
        rows = tuple(entry.row for entry in run) if len(run) > 1 else ()
        shown[oldest.row.request_id] = replace(newest, run=rows) if rows else newest
    stretch.clear()
