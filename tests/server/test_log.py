"""The request log: what is live, what is kept, who is told."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

from npurun_tui.server.log import RequestLog
from npurun_tui.server.records import RequestRecord
from npurun_tui.storage.database import Database
from npurun_tui.storage.requests import RequestRow, RequestTable
from npurun_tui.storage.schema import APPLICATION_ID, MIGRATIONS


def ended(**values: object) -> RequestRecord:
    record = RequestRecord(
        peer="127.0.0.1", client="ollama/0.6", dialect="ollama", method="POST", path="/api/chat"
    )
    for name, value in {"status": 200, "outcome": "stop", **values}.items():
        setattr(record, name, value)
    return record


def test_a_live_request_is_a_copy_until_it_ends(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db")
    record = ended(model="a")
    log.opened(record)
    (copy,) = log.live()
    record.model = "b"
    assert copy.model == "a"
    assert copy is not record
    log.closed(record)
    assert log.live() == []
    assert [row.request_id for row in log.recent()] == [record.id]
    log.close()


def test_rows_say_whose_server_answered_and_those_from_before_that_do_not(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in chain.from_iterable(MIGRATIONS[:2]):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 2")
        connection.execute(
            "INSERT INTO request (request_id, began, peer, client, dialect, method, path, model, stream, status,"
            " outcome, request_bytes, body_sha256, warnings)"
            " VALUES ('x', 1, '', '', '', '', '', 'old', 0, 200, '', 0, '', '')"
        )
    log = RequestLog(path)
    log.closed(ended(model="new"))
    assert [(row.model, row.process) for row in log.recent()] == [("new", os.getpid()), ("old", 0)]
    log.close()


def test_every_field_survives_a_restart(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db")
    record = ended(
        model="smollm2",
        stream=True,
        queue_ms=1.5,
        ttft_ms=20.25,
        prompt_tokens=12,
        cached_tokens=7,
        completion_tokens=30,
        decode_tps=55.5,
        body=b'{"model":"smollm2"}',
        body_sha256="ab" * 32,
        warnings=("tools were dropped", "messages were dropped"),
    )
    log.closed(record)
    log.close()
    again = RequestLog(tmp_path / "log.db")
    (row,) = again.recent()
    again.close()
    assert (row.request_id, row.began, row.model, row.stream) == (
        record.id,
        record.began,
        "smollm2",
        True,
    )
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (12, 7, 30)
    assert (row.queue_ms, row.ttft_ms, row.decode_tps, row.load_ms) == (1.5, 20.25, 55.5, None)
    assert row.body == b'{"model":"smollm2"}'
    assert row.warnings.split("\n") == ["tools were dropped", "messages were dropped"]


def test_words_are_looked_for_literally_and_all_of_them(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db")
    for model, status in (("a_b", 200), ("aXb", 200), ("a_b", 429)):
        log.closed(ended(model=model, status=status))
    assert len(log.recent(words="a_b")) == 2
    assert [row.status for row in log.recent(words="a_b 429")] == [429]
    assert log.recent(words="100%") == []
    assert [row.model for row in log.recent(limit=2)] == ["a_b", "aXb"]
    log.close()


def test_the_oldest_go_first(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db", kept=5)
    for number in range(12):
        log.closed(ended(model=f"m{number}"))
    assert [row.model for row in log.recent()] == ["m11", "m10", "m9", "m8", "m7"]
    log.close()


def test_ten_thousand_are_all_written_and_cost_the_loop_little(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db")

    def close_many() -> None:
        for _ in range(2500):
            log.closed(ended())

    threads = [threading.Thread(target=close_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    database = Database(tmp_path / "log.db")
    assert RequestTable(database).count() == 10_000
    database.close()


def test_what_cannot_be_written_is_kept_and_written_later(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = RequestLog(path, busy_timeout=0.2)
    log.closed(ended(model="before"))
    log.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        log.closed(ended(model="meanwhile"))
        log.flush(timeout=30)
        assert "locked" in log.fault or "another" in log.fault.lower()
    finally:
        other.execute("ROLLBACK")
        other.close()
    log.close()
    again = RequestLog(path)
    assert [row.model for row in again.recent()] == ["meanwhile", "before"]
    again.close()


async def test_listeners_hear_on_their_loop_and_not_of_each_change(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.db")
    heard: list[int] = []
    news = asyncio.Event()

    def listener() -> None:
        heard.append(threading.get_ident())
        news.set()

    unsubscribe = log.subscribe(listener, asyncio.get_running_loop())

    def close_some() -> None:
        for _ in range(300):
            log.closed(ended())

    worker = threading.Thread(target=close_some)
    worker.start()
    await asyncio.wait_for(news.wait(), 5)
    worker.join()
    news.clear()
    log.closed(ended())
    await asyncio.wait_for(news.wait(), 5)
    assert set(heard) == {threading.get_ident()}
    assert len(heard) < 50
    unsubscribe()
    await asyncio.to_thread(log.close)


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "x" * 5000])
def test_hostile_texts_are_kept_as_they_are(tmp_path: Path, text: str) -> None:
    log = RequestLog(tmp_path / "log.db")
    log.closed(ended(client=text))
    assert log.recent()[0].client == text
    log.close()


def test_a_listener_that_fails_ends_no_log(tmp_path: Path) -> None:
    told: list[str] = []

    def fail(row: RequestRow) -> None:
        told.append(row.model)
        raise OSError("closed") if row.model == "second" else ValueError("wrong")

    log = RequestLog(tmp_path / "log.db", heard=fail)
    for model in ("first", "second", "third"):
        log.closed(ended(model=model))
        assert log.recent()[0].model == model
    log.close()
    assert told == ["first", "second"], "who has no ears any more is told nothing"


def test_an_unforeseen_fault_of_the_table_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RequestLog(tmp_path / "log.db")
    add, faults = RequestTable.add, [OverflowError("too large for SQLite")]

    def fail_once(table: RequestTable, rows: Sequence[RequestRow]) -> None:
        if faults:
            raise faults.pop()
        add(table, rows)

    monkeypatch.setattr(RequestTable, "add", fail_once)
    log.closed(ended(model="kept"))
    log.flush()
    assert "OverflowError" in log.fault
    log.close()
    again = RequestLog(tmp_path / "log.db")
    assert [row.model for row in again.recent()] == ["kept"]
    again.close()
