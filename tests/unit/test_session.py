"""A chat with the real model and the real database: kept whatever happens to either."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import INTERRUPTED, STOPPED, Chat, ChatSettings, Message
from npurun_tui.chat.session import (
    ChatSession,
    Loading,
    NotSaved,
    SessionEvent,
    Started,
    Waiting,
)
from npurun_tui.engine.engine import Engine, EngineState
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Finished, Piece
from npurun_tui.errors import (
    ContextOverflow,
    EngineCrashed,
    EngineError,
    ModelNotFound,
    StorageLocked,
)

GREEDY = ChatSettings(temperature=0, top_k=1, max_tokens=12)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[ChatLibrary]:
    library = ChatLibrary(tmp_path / "data" / "chats.db", busy_timeout=0.2)
    yield library
    await library.aclose()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(log=tmp_path / "engine.log")
    yield engine
    await engine.aclose()


@pytest.fixture
def open_chat(
    engine: Engine, library: ChatLibrary, model_file: Path
) -> Callable[[Chat], ChatSession]:
    spec = ModelSpec("smollm2", "llama.cpp", model_file.parent, model_file, context=1024)

    def spec_of(name: str) -> ModelSpec:
        if name != spec.name:
            raise ModelNotFound(f"{name} is not installed.")
        return spec

    return lambda chat: ChatSession(chat, engine, library, spec_of)


OpenChat = Callable[[Chat], ChatSession]


async def reload(library: ChatLibrary, chat: Chat) -> Chat:
    """The chat as the database has it."""
    assert chat.id is not None
    return await library.load(chat.id)


def contents(chat: Chat) -> list[tuple[str, str, str]]:
    return [(m.role, m.content, m.outcome) for m in chat.messages]


@pytest.mark.model
async def test_a_chat_is_answered_and_kept(open_chat: OpenChat, library: ChatLibrary) -> None:
    session, events = open_chat(Chat("smollm2", GREEDY)), list[SessionEvent]()
    session.say("Please repeat this word: banana")
    await session.answer(events.append)
    kinds = [type(event) for event in events]
    assert kinds[0] is Loading
    assert kinds[-1] is Finished
    assert kinds.index(Started) < kinds.index(Piece)
    text = "".join(event.text for event in events if isinstance(event, Piece))
    assert text == session.chat.messages[-1].content
    kept = await reload(library, session.chat)
    assert contents(kept) == contents(session.chat)
    assert kept.title == "Please repeat this word: banana"
    assert kept.messages[-1].stats == session.chat.messages[-1].stats
    assert kept.messages[-1].stats is not None
    assert [s.message_count for s in await library.summaries()] == [2]

    again = open_chat(kept)
    again.say("And now this one: apple")
    await again.answer(events.append)
    stats = again.chat.messages[-1].stats
    assert stats is not None
    assert stats.cached_tokens > 0, "the reopened chat's beginning is still in the cache"


@pytest.mark.model
async def test_regenerate_and_edit_replace_what_is_kept(
    open_chat: OpenChat, library: ChatLibrary
) -> None:
    session = open_chat(Chat("smollm2", GREEDY))
    session.say("Please repeat this word: banana")
    await session.answer(lambda _event: None)
    first = contents(session.chat)
    session.take_back_answer()
    await session.answer(lambda _event: None)
    assert contents(session.chat) == first, "greedy: the same question has the same answer"
    assert contents(await reload(library, session.chat)) == first
    session.edit_last("Please repeat this word: apple")
    await session.answer(lambda _event: None)
    kept = contents(await reload(library, session.chat))
    assert [role for role, _, _ in kept] == ["user", "assistant"]
    assert kept[0][1].endswith("apple")
    assert kept == contents(session.chat)


@pytest.mark.model
async def test_stop_keeps_the_text_that_came(open_chat: OpenChat, library: ChatLibrary) -> None:
    session = open_chat(Chat("smollm2", replace(GREEDY, max_tokens=500)))
    pieces: list[str] = []

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Piece):
            pieces.append(event.text)
            if len(pieces) == 4:
                session.stop()

    session.say("Tell me a long story about the sea.")
    await session.answer(on_event)
    kept = await reload(library, session.chat)
    assert contents(kept)[-1] == ("assistant", "".join(pieces), STOPPED)
    assert not session.busy


@pytest.mark.model
async def test_stop_while_waiting_for_the_permit(open_chat: OpenChat, engine: Engine) -> None:
    session, in_line = open_chat(Chat("smollm2", GREEDY)), asyncio.Event()
    session.say("hello")

    def on_event(event: SessionEvent) -> None:
        if event == Waiting(1):
            in_line.set()

    async with engine.permit("the bench"):
        task = asyncio.create_task(session.answer(on_event))
        await in_line.wait()
        session.stop()
        await task
        assert engine.status.waiting == ()
    assert contents(session.chat) == [("user", "hello", "")]
    await session.answer(on_event)
    assert session.chat.messages[-1].role == "assistant"


@pytest.mark.model
async def test_stop_while_loading(open_chat: OpenChat, engine: Engine) -> None:
    session = open_chat(Chat("smollm2", GREEDY))
    session.say("hello")

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Loading):
            asyncio.get_running_loop().call_soon(session.stop)

    await session.answer(on_event)
    assert contents(session.chat) == [("user", "hello", "")]
    assert engine.status.holder is None
    await session.answer(lambda _event: None)
    assert session.chat.messages[-1].role == "assistant"


@pytest.mark.model
async def test_stop_twice_while_loading(open_chat: OpenChat, engine: Engine) -> None:
    session = open_chat(Chat("smollm2", GREEDY))
    session.say("hello")

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Loading):
            loop = asyncio.get_running_loop()
            loop.call_soon(session.stop)
            loop.call_later(0.01, session.stop)

    await session.answer(on_event)
    assert engine.status.state is EngineState.STOPPED
    assert engine.status.holder is None


@pytest.mark.model
async def test_stop_at_once_loads_nothing(open_chat: OpenChat, engine: Engine) -> None:
    session, events = open_chat(Chat("smollm2", GREEDY)), list[SessionEvent]()
    session.say("hello")
    work = session.answer(events.append)
    session.stop()
    await work
    assert (events, engine.pid) == ([], None)


@pytest.mark.model
async def test_asking_twice_is_refused(open_chat: OpenChat) -> None:
    session = open_chat(Chat("smollm2", GREEDY))
    session.say("Please repeat this word: banana")
    work = session.answer(lambda _event: None)
    with pytest.raises(EngineError, match="still being written"):
        _ = session.answer(lambda _event: None)
    await work
    assert [m.role for m in session.chat.messages] == ["user", "assistant"]


async def test_an_answer_that_cannot_be_given_again_stays(
    open_chat: OpenChat, library: ChatLibrary
) -> None:
    chat = Chat("gone", messages=[Message("user", "hello"), Message("assistant", "hi there")])
    await library.save(chat)
    session = open_chat(chat)
    session.take_back_answer()
    with pytest.raises(ModelNotFound):
        await session.answer(lambda _event: None)
    assert contents(chat) == [("user", "hello", ""), ("assistant", "hi there", "")]
    await session.save(lambda _event: None)
    assert contents(await reload(library, chat)) == contents(chat)


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_crash_keeps_the_half_answer_and_the_chat_goes_on(
    open_chat: OpenChat, engine: Engine, library: ChatLibrary
) -> None:
    session = open_chat(Chat("smollm2", replace(GREEDY, max_tokens=500)))
    pieces: list[str] = []

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Piece):
            pieces.append(event.text)
            if len(pieces) == 4:
                assert engine.pid is not None
                os.kill(engine.pid, signal.SIGKILL)

    session.say("Tell me a long story about the sea.")
    with pytest.raises(EngineCrashed):
        await session.answer(on_event)
    kept = await reload(library, session.chat)
    role, text, outcome = contents(kept)[-1]
    assert (role, text) == ("assistant", "".join(pieces))
    assert "SIGKILL" in outcome
    session.chat.settings = GREEDY
    session.say("Please repeat this word: banana")
    await session.answer(lambda _event: None)
    assert len((await reload(library, session.chat)).messages) == 4


@pytest.mark.model
async def test_the_growing_answer_is_on_disk_before_it_ends(
    open_chat: OpenChat, library: ChatLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dropped connection (SIGHUP, no clean-up) would find."""
    monkeypatch.setattr("npurun_tui.chat.session.SAVE_EVERY", 0.05)
    session = open_chat(Chat("smollm2", replace(GREEDY, max_tokens=60)))
    seen: list[list[tuple[str, str, str]]] = []
    reads: list[asyncio.Task[None]] = []

    async def read() -> None:
        seen.append(contents(await reload(library, session.chat)))

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, Piece) and len(session.partial) % 7 == 0:
            reads.append(asyncio.create_task(read()))

    session.say("Tell me a long story about the sea.")
    await session.answer(on_event)
    await asyncio.gather(*reads)
    final = session.chat.messages[-1].content
    partial = [state[1] for state in seen if len(state) == 2 and state[1][2] == INTERRUPTED]
    assert partial
    assert all(final.startswith(text) for _, text, _ in partial)


@pytest.mark.model
async def test_a_prompt_too_long_loses_nothing(open_chat: OpenChat, library: ChatLibrary) -> None:
    session = open_chat(Chat("smollm2", GREEDY))
    session.say("word " * 3000)
    with pytest.raises(ContextOverflow):
        await session.answer(lambda _event: None)
    assert contents(await reload(library, session.chat)) == [("user", "word " * 3000, "")]
    session.edit_last("Please repeat this word: banana")
    await session.answer(lambda _event: None)
    assert [m.role for m in session.chat.messages] == ["user", "assistant"]


@pytest.mark.model
async def test_a_locked_database_loses_nothing(
    open_chat: OpenChat, library: ChatLibrary, tmp_path: Path
) -> None:
    await library.save(Chat("smollm2", messages=[Message("user", "the file exists now")]))
    holder = sqlite3.connect(tmp_path / "data" / "chats.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    session, events = open_chat(Chat("smollm2", GREEDY)), list[SessionEvent]()
    session.say("Please repeat this word: banana")
    await session.answer(events.append)
    refused = [event for event in events if isinstance(event, NotSaved)]
    assert refused
    assert isinstance(refused[0].error, StorageLocked)
    assert session.chat.messages[-1].content
    holder.execute("ROLLBACK")
    holder.close()
    events.clear()
    await session.save(events.append)
    assert events == []
    assert contents(await reload(library, session.chat)) == contents(session.chat)


async def test_a_model_that_is_gone(open_chat: OpenChat, library: ChatLibrary) -> None:
    session = open_chat(Chat("gone", GREEDY))
    session.say("hello")
    with pytest.raises(ModelNotFound, match="gone is not installed"):
        await session.answer(lambda _event: None)
    assert contents(await reload(library, session.chat)) == [("user", "hello", "")]


async def test_an_empty_chat_is_neither_answered_nor_kept(
    open_chat: OpenChat, library: ChatLibrary
) -> None:
    session = open_chat(Chat("smollm2"))
    session.take_back_answer()
    await session.answer(lambda _event: None)
    await session.save(lambda _event: None)
    assert session.chat.id is None
    assert await library.summaries() == []
