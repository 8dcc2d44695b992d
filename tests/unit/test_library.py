"""Two windows on one database, and a chat that changes while it is being saved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import Chat, Message
from npurun_tui.errors import StorageError
from npurun_tui.storage.chats import ChatTable
from npurun_tui.storage.database import Database


@pytest.fixture
async def windows(tmp_path: Path) -> AsyncIterator[tuple[ChatLibrary, ChatLibrary]]:
    one, two = ChatLibrary(tmp_path / "chats.db"), ChatLibrary(tmp_path / "chats.db")
    yield one, two
    await one.aclose()
    await two.aclose()


def texts(chat: Chat) -> list[str]:
    return [message.content for message in chat.messages]


async def open_in_both(one: ChatLibrary, two: ChatLibrary) -> tuple[Chat, Chat, int]:
    """A chat of two messages as each window has it, and its id."""
    chat = Chat("m", messages=[Message("user", "question"), Message("assistant", "answer")])
    await one.save(chat)
    assert chat.id is not None
    return chat, await two.load(chat.id), chat.id


async def test_an_edit_in_one_window_keeps_what_the_other_has_added(
    windows: tuple[ChatLibrary, ChatLibrary],
) -> None:
    one, two = windows
    here, there, chat_id = await open_in_both(one, two)
    there.messages.append(Message("user", "added there"))
    await two.save(there)
    gone = here.messages.pop()
    assert gone.id is not None
    here.removed.append(gone.id)
    here.messages.append(Message("assistant", "better answer"))
    await one.save(here)
    assert texts(await one.load(chat_id)) == ["question", "added there", "better answer"]
    assert here.removed == []


async def test_what_another_window_has_deleted_is_written_again(
    windows: tuple[ChatLibrary, ChatLibrary],
) -> None:
    one, two = windows
    here, there, chat_id = await open_in_both(one, two)
    here.removed.append(here.messages.pop().id or 0)
    await one.save(here)
    there.messages[1].content = "answer, and more of it"
    there.messages.append(Message("user", "next"))
    await two.save(there)
    assert texts(await two.load(chat_id)) == ["question", "answer, and more of it", "next"]


async def test_a_chat_that_another_window_has_deleted_is_written_anew(
    windows: tuple[ChatLibrary, ChatLibrary],
) -> None:
    one, two = windows
    _, there, chat_id = await open_in_both(one, two)
    await one.delete(chat_id)
    there.messages.append(Message("user", "still here"))
    await two.save(there)
    assert there.id is not None
    assert texts(await one.load(there.id)) == ["question", "answer", "still here"]


class SlowTable(ChatTable):
    """The real table, whose `append` waits half-way: the row is written, and nobody knows of it yet."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.written, self.go_on = threading.Event(), threading.Event()

    def append(
        self, chat_id: int, role: str, content: str, stats_json: str = "", outcome: str = ""
    ) -> int:
        number = super().append(chat_id, role, content, stats_json, outcome)
        self.written.set()
        assert self.go_on.wait(10)
        return number


class Slow:
    """A library on a `SlowTable`."""

    def __init__(self, path: Path) -> None:
        self.library = ChatLibrary(path)
        self.table = self.library._table = SlowTable(self.library._database)

    async def half_saved(self, chat: Chat) -> asyncio.Task[None]:
        """A save that has written the first message and stands still."""
        save = asyncio.create_task(self.library.save(chat))
        assert await asyncio.to_thread(self.table.written.wait, 10)
        return save


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Slow]:
    slow = Slow(tmp_path / "chats.db")
    yield slow
    slow.table.go_on.set()
    await slow.library.aclose()


async def stored(library: ChatLibrary, chat: Chat) -> list[str]:
    assert chat.id is not None
    return texts(await library.load(chat.id))


async def test_a_message_taken_out_while_it_is_written_does_not_come_back(slow: Slow) -> None:
    chat = Chat("m", messages=[Message("user", "first"), Message("assistant", "second")])
    save = await slow.half_saved(chat)
    chat.messages.clear()
    chat.messages.append(Message("user", "instead"))
    slow.table.go_on.set()
    await save
    assert len(chat.removed) == 2
    await slow.library.save(chat)
    assert await stored(slow.library, chat) == ["instead"]
    assert chat.removed == []


async def test_a_message_that_comes_back_after_all_is_stored_once(slow: Slow) -> None:
    chat = Chat("m", messages=[Message("user", "question"), Message("assistant", "answer")])
    save = await slow.half_saved(chat)
    answer = chat.messages.pop()
    slow.table.go_on.set()
    await save
    chat.messages.append(answer)
    await slow.library.save(chat)
    assert await stored(slow.library, chat) == ["question", "answer"]


async def test_the_text_that_grew_meanwhile_is_written_next(slow: Slow) -> None:
    chat = Chat("m", messages=[Message("assistant", "half")])
    save = await slow.half_saved(chat)
    chat.messages[0].content = "half and half"
    slow.table.go_on.set()
    await save
    assert await stored(slow.library, chat) == ["half"]
    await slow.library.save(chat)
    assert await stored(slow.library, chat) == ["half and half"]


async def test_two_saves_at_once_and_a_cancelled_one_write_each_message_once(slow: Slow) -> None:
    chat = Chat("m", messages=[Message("user", "first")])
    save = await slow.half_saved(chat)
    chat.messages.append(Message("assistant", "second"))
    again = asyncio.create_task(slow.library.save(chat))
    save.cancel()
    with pytest.raises(asyncio.CancelledError):
        await save
    slow.table.go_on.set()
    await again
    assert await stored(slow.library, chat) == ["first", "second"]


async def test_closing_waits_for_what_was_asked_before(slow: Slow, tmp_path: Path) -> None:
    chat = Chat("m", messages=[Message("user", "first")])
    save = await slow.half_saved(chat)
    other = Chat("m", messages=[Message("user", "asked last")])
    last = asyncio.create_task(slow.library.save(other))
    await asyncio.sleep(0)
    closing = asyncio.create_task(slow.library.aclose())
    slow.table.go_on.set()
    await asyncio.gather(save, last, closing)
    with pytest.raises(StorageError, match="closed already"):
        await slow.library.save(chat)
    slow.library = ChatLibrary(tmp_path / "chats.db")
    assert await stored(slow.library, other) == ["asked last"]


async def test_what_was_written_before_a_failure_is_not_written_twice(tmp_path: Path) -> None:
    class Failing(ChatTable):
        left = 1

        def append(
            self, chat_id: int, role: str, content: str, stats_json: str = "", outcome: str = ""
        ) -> int:
            self.left -= 1
            if self.left < 0:
                raise StorageError("The disk has gone.")
            return super().append(chat_id, role, content, stats_json, outcome)

    library = ChatLibrary(tmp_path / "chats.db")
    table = library._table = Failing(library._database)
    chat = Chat("m", messages=[Message("user", "first"), Message("assistant", "second")])
    with pytest.raises(StorageError, match="gone"):
        await library.save(chat)
    table.left = 9
    await library.save(chat)
    assert await stored(library, chat) == ["first", "second"]
    await library.aclose()
