"""One request as the Server tab shows it, on its way or ended. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.server.clients import short_client
from npurun_tui.server.outcomes import ABORTED_HERE, CLIENT_LEFT, STOPPED, succeeded
from npurun_tui.text import one_line
from npurun_tui.widgets.row_table import Cell, Column

if TYPE_CHECKING:
    from npurun_tui.server.records import RequestRecord
    from npurun_tui.storage.requests import RequestRow

COLUMNS: Final = (
    Column("Time", 8),
    Column("Client", 13),
    Column("API", 9, rank=5),
    Column("Route", 16, rank=2),
    Column("Model", 16, rank=4),
    Column("Status", 14),
    Column("Queue", 6, right=True, rank=6),
    Column("TTFT", 6, right=True),
    Column("In", 5, right=True, rank=3),
    Column("Cached", 6, right=True, rank=7),
    Column("Out", 5, right=True, rank=3),
    Column("tok/s", 5, right=True),
    Column("Server", 0, rank=2),
)
CLIENT: Final = 1
"""Which of them grows."""

COLUMNS_OF_SEVERAL: Final = (
    Column("Time", 10),
    *COLUMNS[1:-1],
    replace(COLUMNS[-1], width=10),
)
"""Where requests of other servers are among them: these are marked behind their time, and named where there is room."""

LISTED: Final = 50
"""Requests of a folded row that its details list."""
LEFT: Final = 499
"""The status of a client that did not wait."""

OTHER: Final = "◇"
"""Stands behind the time of what another server has answered."""

Cells = tuple[Cell, ...]


@dataclass(frozen=True)
class Entry:
    """`doing` says in words what is done with it now; empty where it has ended."""

    row: RequestRow
    doing: str = ""
    server: str = ""
    """The server of another process that answered it, in two words; empty where this one did."""
    run: tuple[RequestRow, ...] = ()
    """All the refusals that this row stands for, the newest first; empty where it is one request."""

    @property
    def live(self) -> bool:
        """It is on its way."""
        return bool(self.doing)

    @property
    def ok(self) -> bool:
        """It was answered as it should be."""
        return succeeded(self.row.status, self.row.outcome)

    @cached_property
    def client(self) -> str:
        """The client's short name, else its address."""
        return short_client(self.row.client) or one_line(self.row.peer, 40) or "?"

    @property
    def state(self) -> str:
        """Sign and words: what happens to it, or how it ended."""
        if self.run:
            return f"✗ {self.row.status} ×{len(self.run):,}"
        return f"▶ {self.doing}" if self.live else _ended(self.row, ok=self.ok)

    @property
    def words(self) -> str:
        """What a filter looks at."""
        row = self.row
        return " ".join((row.model, row.client, row.path, row.peer, row.dialect, self.state))

    @cached_property
    def cells(self) -> Cells:
        """One for each column."""
        row = self.row
        look = "good" if self.live else "" if self.ok else "error"
        return (
            Cell(f"{clock(row.began)} {OTHER}" if self.server else clock(row.began)),
            Cell(one_line(self.client, 40)),
            Cell(one_line(row.dialect, 20)),
            Cell(route(row)),
            Cell(one_line(row.model, 60)),
            Cell(self.state, look),
            Cell(span(row.queue_ms)),
            Cell(span(row.ttft_ms)),
            Cell(_count(row.prompt_tokens)),
            Cell(_count(row.cached_tokens)),
            Cell(_count(row.completion_tokens)),
            Cell(f"{row.decode_tps:.1f}" if row.decode_tps else ""),
            Cell(self.server),
        )


ABORTED: Final = {ABORTED_HERE: "aborted", STOPPED: "stopped"}
"""Words for them that fit a cell."""


def _ended(row: RequestRow, *, ok: bool) -> str:
    if row.outcome in ABORTED:
        return f"✗ {ABORTED[row.outcome]}"
    if row.status == LEFT or row.outcome == CLIENT_LEFT:
        return "✗ client left"
    if not ok:
        broken = " broken" if 0 < row.status < 400 else ""  # its head was sent before it failed
        return f"✗ {row.status or 'no answer'}{broken}"
    outcome = one_line(row.outcome, 10)
    return f"✓ {row.status} {outcome}".rstrip()


def doing(record: RequestRecord) -> str:
    """What is done with a request on its way, in a word or two."""
    match record.phase:
        case "queued":
            return f"queued {record.ahead}"
        case "loading":
            return "loading"
        case "prefill":
            return f"reading {record.read * 100:.0f} %"
        case "decode":
            return "writing"
        case _:
            return "answering" if record.status else "arrived"


def clock(began: float) -> str:
    """The local time of day; the details have the date."""
    return datetime.fromtimestamp(began).astimezone().strftime("%H:%M:%S")


def route(row: RequestRow) -> str:
    """The path without its dialect's prefix, the method where it is an unusual one."""
    path = one_line(row.path, 80)
    for prefix in ("/v1/", "/api/"):
        path = path.removeprefix(prefix) if len(path) > len(prefix) else path
    return path if row.method in ("GET", "POST") else f"{one_line(row.method, 8)} {path}"


def span(ms: float | None) -> str:
    """Milliseconds in at most six characters."""
    if ms is None:
        return ""
    return f"{ms:.0f} ms" if ms < 999.5 else f"{ms / 1000:.3g} s"


def _count(number: int | None) -> str:
    if number is None:
        return ""
    return str(number) if number < 100_000 else f"{number // 1000}k"


def matches(entry: Entry, words: str) -> bool:
    """Whether each of `words` is in it, as the log looks for them."""
    text = entry.words.lower()
    return all(word in text for word in words.lower().split())


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """By the time at which they began, the newest first. The log is in the order in which they ended."""
    return sorted(entries, key=lambda entry: -entry.row.began)


def columns_for(entries: Iterable[Entry]) -> tuple[Column, ...]:
    """Whose a request is takes room only where there are several servers."""
    return COLUMNS_OF_SEVERAL if any(entry.server for entry in entries) else COLUMNS


def cells_of(entries: Mapping[str, Entry]) -> dict[str, Cells]:
    """What the table shows."""
    return {key: entry.cells for key, entry in entries.items()}


def facts_of(entry: Entry) -> list[tuple[str, str]]:
    """All that is known of a request, but for its body."""
    row = entry.row
    pairs = [
        ("Status", entry.state),
        ("Server", f"not this one: {entry.server}" if entry.server else ""),
        ("Outcome", one_line(row.outcome, 300)),
        ("Refused", _times(entry.run)),
        ("Began", datetime.fromtimestamp(row.began).astimezone().strftime("%Y-%m-%d %H:%M:%S")),
        ("Client", one_line(row.client, 200)),
        ("Address", one_line(row.peer, 60)),
        ("API", one_line(row.dialect, 20) or "none"),
        ("Model", one_line(row.model, 100)),
        ("Answer", "streamed" if row.stream else "in one piece"),
        ("Queue", span(row.queue_ms)),
        ("Loading", span(row.load_ms)),
        ("TTFT", span(row.ttft_ms)),
        ("In all", span(row.total_ms)),
        ("Tokens in", _tokens_in(row)),
        ("Tokens out", "" if row.completion_tokens is None else f"{row.completion_tokens:,}"),
        ("Rate", units.rate(row.decode_tps) if row.decode_tps else ""),
        ("Body", _body(row)),
        ("Id", one_line(row.request_id, 40)),
    ]
    return [pair for pair in pairs if pair[1]]


def _times(run: Sequence[RequestRow]) -> str:
    if not run:
        return ""
    return f"{len(run):,} times, {clock(run[-1].began)} to {clock(run[0].began)}; the rest is of the last"


def run_lines(run: Sequence[RequestRow]) -> list[str]:
    """The requests of a folded row, one on each line: when it came, how long it took, its model and its id."""
    lines = [
        "  ".join(
            (
                clock(row.began),
                f"{span(row.total_ms):>6}",
                one_line(row.request_id, 40),
                one_line(row.model, 40),
            )
        ).rstrip()
        for row in run[:LISTED]
    ]
    left = len(run) - len(lines)
    more = f"and {left:,} more: the filter {run[0].status} shows the newest one by one"
    return [*lines, more] if left else lines


def _tokens_in(row: RequestRow) -> str:
    if row.prompt_tokens is None:
        return ""
    cached = f", {row.cached_tokens:,} of them from the cache" if row.cached_tokens else ""
    return f"{row.prompt_tokens:,}{cached}"


def _body(row: RequestRow) -> str:
    if not row.request_bytes:
        return ""
    digest = f", sha256 {row.body_sha256[:12]}…" if row.body_sha256 else ""
    return f"{units.size(row.request_bytes)}{digest}"
