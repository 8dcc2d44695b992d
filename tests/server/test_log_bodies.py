"""The bodies that `--log-prompts` keeps have a bound, on the disk and while they wait for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from npurun_tui.server import log as log_module
from npurun_tui.server.log import RequestLog, row_of
from npurun_tui.storage.database import Database
from npurun_tui.storage.requests import RequestRow, RequestTable
from tests.server.test_log import ended


def row(name: str, size: int | None) -> RequestRow:
    return row_of(ended(model=name, body=None if size is None else b"x" * size))


def sizes(table: RequestTable) -> list[tuple[str, int | None]]:
    """Each row's model and the size of its body, oldest first."""
    rows = reversed(table.newest(100))
    return [(each.model, None if each.body is None else len(each.body)) for each in rows]


def test_the_oldest_bodies_go_and_their_rows_stay(tmp_path: Path) -> None:
    database = Database(tmp_path / "log.db")
    table = RequestTable(database, bodies=80)
    table.add([row("a", 30), row("b", 30)])
    table.add([row("c", None), row("d", 20)])
    assert sizes(table) == [("a", 30), ("b", 30), ("c", None), ("d", 20)]
    table.add([row("e", 1)])
    assert sizes(table) == [("a", None), ("b", 30), ("c", None), ("d", 20), ("e", 1)]
    table.add([row("f", 81)])
    assert sizes(table)[-2:] == [("e", None), ("f", None)]
    assert not any(size for _, size in sizes(table))
    table.add([row("g", 70)])
    assert sizes(table)[-1] == ("g", 70)
    database.close()


def test_the_bound_holds_for_what_was_there_before(tmp_path: Path) -> None:
    database = Database(tmp_path / "log.db")
    RequestTable(database, bodies=1000).add([row("a", 500), row("b", 50)])
    table = RequestTable(database, bodies=100)
    table.add([row("c", 10)])
    assert sizes(table) == [("a", None), ("b", 50), ("c", 10)]
    table.clear()
    table.add([row("d", 90)])
    assert sizes(table) == [("d", 90)]
    database.close()


def test_what_was_deleted_does_not_count(tmp_path: Path) -> None:
    """Rows beyond the limit take their bodies along: those that are left are not dropped for them."""
    database = Database(tmp_path / "log.db")
    table = RequestTable(database, kept=2, bodies=100)
    for number in range(20):
        table.add([row(f"m{number}", 40)])
    assert sizes(table) == [("m18", 40), ("m19", 40)]
    database.close()


def test_waiting_rows_hold_so_many_bytes_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "UNWRITTEN_BODIES", 100)
    add, writing, go_on = RequestTable.add, threading.Event(), threading.Event()

    def wait(table: RequestTable, rows: Sequence[RequestRow]) -> None:
        writing.set()
        go_on.wait(10)
        add(table, rows)

    monkeypatch.setattr(RequestTable, "add", wait)
    log = RequestLog(tmp_path / "log.db")
    log.closed(ended(model="a", body=b"x" * 60))
    assert writing.wait(10)
    for name, size in (("b", 40), ("c", 1), ("d", 0)):  # what is being written is held still
        log.closed(ended(model=name, body=b"x" * size))
    go_on.set()
    log.flush()
    log.closed(ended(model="e", body=b"x" * 100))
    found = {each.model: each.body for each in log.recent()}
    log.close()
    assert {name: body and len(body) for name, body in found.items()} == {
        "a": 60,
        "b": 40,
        "c": None,
        "d": b"",
        "e": 100,
    }


def test_what_falls_off_the_line_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "UNWRITTEN", 2)
    monkeypatch.setattr(log_module, "UNWRITTEN_BODIES", 100)
    add, writing, go_on = RequestTable.add, threading.Event(), threading.Event()

    def wait(table: RequestTable, rows: Sequence[RequestRow]) -> None:
        writing.set()
        go_on.wait(10)
        add(table, rows)

    monkeypatch.setattr(RequestTable, "add", wait)
    log = RequestLog(tmp_path / "log.db")
    log.closed(ended(model="first"))
    assert writing.wait(10)
    for name in "abcde":
        log.closed(ended(model=name, body=b"x" * 33))
    go_on.set()
    log.flush()
    found = {each.model: each.body for each in log.recent()}
    log.close()
    assert {name for name, body in found.items() if body} == {"d", "e"}
