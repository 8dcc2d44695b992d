"""Chats survive being written, closed and read again, whatever their text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from npurun_tui.errors import StorageError
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database

HOSTILE = "NUL \0, ESC \x1b[2J, [red]markup[/red], emoji 🦙, RTL \u202e, a quote ' and \r\n lines"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "data" / "chats.db")
    yield database
    database.close()


@pytest.fixture
def chats(database: Database) -> ChatTable:
    ticks = itertools.count(1000)
    return ChatTable(database, clock=lambda: float(next(ticks)))


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    Database(tmp_path / "data" / "chats.db").close()
    assert list(tmp_path.iterdir()) == []


def test_a_chat_comes_back_as_it_was(database: Database, chats: ChatTable) -> None:
    chat = chats.create("Title", "smollm2", '{"top_k": 40}')
    first = chats.append(chat, "user", HOSTILE)
    second = chats.append(chat, "assistant", "", '{"total_ms": 1.5}', "stopped")
    database.close()

    row, messages = chats.load(chat)

    assert (row.title, row.model, row.settings_json) == ("Title", "smollm2", '{"top_k": 40}')
    assert (row.created, row.updated, row.message_count) == (1000.0, 1002.0, 2)
    assert [message.id for message in messages] == [first, second]
    assert messages[0].content == HOSTILE
    assert (messages[1].stats_json, messages[1].outcome) == ('{"total_ms": 1.5}', "stopped")


def test_a_lone_surrogate_does_not_lose_the_message(chats: ChatTable) -> None:
    chat = chats.create("t", "m", "{}")
    chats.append(chat, "user", "before \ud83d after")
    assert chats.load(chat)[1][0].content == "before ? after"


def test_summaries_come_latest_first_and_bounded(chats: ChatTable) -> None:
    old, middle, new = (chats.create(title, "m", "{}") for title in ("old", "middle", "new"))
    chats.append(old, "user", "again")
    assert [row.id for row in chats.summaries()] == [old, new, middle]
    assert [row.id for row in chats.summaries(limit=1)] == [old]


def test_update_changes_only_what_is_given(chats: ChatTable) -> None:
    chat = chats.create("title", "model", "{}")
    chats.update(chat, title="another")
    chats.update(chat, settings_json='{"seed": 1}')
    row = chats.load(chat)[0]
    assert (row.title, row.model, row.settings_json) == ("another", "model", '{"seed": 1}')
    assert row.updated == row.created


def test_delete_takes_the_messages_too_and_never_reuses_an_id(
    database: Database, chats: ChatTable
) -> None:
    chat = chats.create("t", "m", "{}")
    message = chats.append(chat, "user", "text")
    chats.delete(chat)
    chats.delete(chat)
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (0,)
    again = chats.create("t", "m", "{}")
    assert again > chat
    assert chats.append(again, "user", "text") > message


def test_replace_and_remove(chats: ChatTable) -> None:
    chat, other = chats.create("t", "m", "{}"), chats.create("o", "m", "{}")
    ids = [chats.append(chat, "user", str(number)) for number in range(4)]
    kept = chats.append(other, "user", "kept")

    assert chats.replace(ids[1], "changed", "{}", "stopped")
    chats.remove(chat, [ids[2], kept])

    contents = [(message.content, message.outcome) for message in chats.load(chat)[1]]
    assert contents == [("0", ""), ("changed", "stopped"), ("3", "")]
    assert [message.id for message in chats.load(other)[1]] == [kept]


def test_what_is_gone_is_said_to_be_gone(chats: ChatTable) -> None:
    with pytest.raises(StorageError, match="no longer in the database"):
        chats.load(7)
    with pytest.raises(StorageError, match="no longer in the database"):
        chats.append(7, "user", "x")
    assert not chats.update(7, title="x")
    assert not chats.replace(7, "x", "", "")
    chats.remove(7, [1])
    assert chats.summaries() == []


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(
    database: Database, chats: ChatTable
) -> None:
    def insert_and_fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO chat VALUES (1, 't', 'm', '{}', 0, 0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    assert chats.summaries() == []
    assert chats.create("t", "m", "{}") > 0
