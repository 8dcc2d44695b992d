"""Two windows on one database, and who may read it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import Chat, Message


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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
async def test_nobody_else_may_read_the_chats(tmp_path: Path) -> None:
    path = tmp_path / "data" / "chats.db"
    path.parent.mkdir()
    path.touch(mode=0o644)
    library = ChatLibrary(path)
    await library.save(Chat("m", messages=[Message("user", "private")]))
    modes = {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()}
    await library.aclose()
    assert len(modes) > 1, "the journals too"
    assert set(modes.values()) == {0}
