"""The engine of a server elsewhere: how it is seen, lost, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from npurun_tui.attach.engine import AttachedEngine
from npurun_tui.attach.services import Attachment
from npurun_tui.attach.there import ServerThere
from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import STOPPED, Chat
from npurun_tui.chat.session import ChatSession, SessionEvent
from npurun_tui.engine.engine import EngineState, EngineStatus, LoadedModel
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import Piece
from npurun_tui.errors import EngineError, ModelNotFound, NetworkUnavailable, UsageError
from npurun_tui.server.asking import Text
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.control import ServerControl
from npurun_tui.server.log import RequestLog
from npurun_tui.server.site import Parts
from npurun_tui.server.tokens import hash_token
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.server.scripted import HELLO, Scripted, Shelf, Step, done
from tests.support.server_tab import forever

LOADED = EngineStatus(
    EngineState.GENERATING,
    LoadedModel("small", "genie", 512, 0.0, "NPU (Genie 1.21.0)"),
    holder="ollama: small",
    waiting=("a", "b"),
)


async def _nothing() -> None:
    """No part has to be closed."""


@asynccontextmanager
async def serving(
    home: Path, script: tuple[Step, ...] = HELLO, status: EngineStatus = LOADED, **config: object
) -> AsyncIterator[ServerControl]:
    """A real server over a scripted answerer, whose engine stands as `status` says."""
    services = Services(Paths.resolve({"NPURUN_TUI_HOME": str(home)}), Settings())
    parts = Parts(Scripted(script), Shelf(), lambda: status, _nothing)
    control = ServerControl(
        services, request_log=RequestLog(services.paths.database), parts=lambda _: parts
    )
    try:
        await control.start(ServerConfig(**{"port": 0, **config}))  # type: ignore[arg-type]
        yield control
    finally:
        await control.aclose()


@asynccontextmanager
async def watching(url: str, token: str = "") -> AsyncIterator[AttachedEngine]:
    """An engine that looks often."""
    engine = AttachedEngine(ServerThere(url, token), poll=0.02)
    engine.watch()
    try:
        yield engine
    finally:
        await engine.aclose()


async def seen(engine: AttachedEngine, condition: Callable[[EngineStatus], bool]) -> EngineStatus:
    """The first status that is so."""
    found = asyncio.Event()
    unsubscribe = engine.subscribe(lambda status: found.set() if condition(status) else None)
    try:
        if not condition(engine.status):
            async with asyncio.timeout(20):
                await found.wait()
        return engine.status
    finally:
        unsubscribe()


async def test_the_servers_engine_is_seen_as_it_stands(tmp_path: Path) -> None:
    async with serving(tmp_path) as control, watching(control.status.url) as engine:
        address = control.status.url.partition("//")[2]
        status = await seen(engine, lambda status: status.model is not None)
    assert status.state is EngineState.GENERATING
    assert status.model is not None
    assert status.model.name == "small"
    assert status.model.backend == "genie"
    assert status.model.place == f"NPU (Genie 1.21.0) at {address}"
    assert status.holder == "somebody else"
    assert len(status.waiting) == 2


async def test_a_server_that_goes_is_told_in_words_and_found_again(tmp_path: Path) -> None:
    async with serving(tmp_path / "a") as control:
        url = control.status.url
        port = int(url.rpartition(":")[2])
        async with watching(url) as engine:
            await seen(engine, lambda status: status.model is not None)
            await control.stop()
            away = await seen(engine, lambda status: status.state is EngineState.FAILED)
            assert away.model is None
            assert "cannot be reached" in away.reason
            await control.start(ServerConfig(port=port))
            back = await seen(engine, lambda status: status.model is not None)
            assert back.reason == ""


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_token_that_is_not_taken_is_told_with_the_mend(tmp_path: Path, token: str) -> None:
    async with (
        serving(tmp_path, infer_token=hash_token("right")) as control,
        watching(control.status.url, token) as engine,
    ):
        status = await seen(engine, lambda status: status.state is EngineState.FAILED)
    assert "401" in status.reason
    assert status.reason.endswith("Give its token with --auth-token.")


async def test_the_right_token_opens_it(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, infer_token=hash_token("right")) as control,
        watching(control.status.url, "right") as engine,
    ):
        await seen(engine, lambda status: status.model is not None)


async def test_what_is_no_server_of_this_kind(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with other, watching(f"127.0.0.1:{other.sockets[0].getsockname()[1]}") as engine:
        status = await seen(engine, lambda status: status.state is EngineState.FAILED)
    assert "not a server of this kind" in status.reason


async def test_a_model_is_taken_as_the_server_tells_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, status=EngineStatus()) as control:
        attached = Attachment(control.status.url)
        attached.begin()
        try:
            names = await asyncio.to_thread(attached.installed_names)
            assert names == ["qwen/three:4b", "small", "thinker"]
            spec = await asyncio.to_thread(attached.spec_of, "small")
            async with attached.engine.permit("chat") as permit:
                model = await permit.load(spec)
            assert (model.name, model.context_size) == ("small", 512)
            assert model.place == f"CPU (llama.cpp) at {attached.there.where}"
            with pytest.raises(ModelNotFound, match="has no model nowhere"):
                await asyncio.to_thread(attached.spec_of, "nowhere")
            async with attached.engine.permit("chat") as permit:
                with pytest.raises(EngineError, match="404"):
                    await permit.load(ModelSpec("nowhere", "llama.cpp", Path()))
        finally:
            await attached.aclose()


async def test_a_chat_over_http_is_kept_here(tmp_path: Path) -> None:
    library = ChatLibrary(tmp_path / "here" / "chats.db")
    async with serving(tmp_path / "there", (Text("Hel"), Text("lo"), done())) as control:
        attached = Attachment(control.status.url)
        attached.begin()
        session = ChatSession(Chat("small"), attached.engine, library, attached.spec_of)
        events: list[SessionEvent] = []
        try:
            session.say("Hi")
            await session.answer(events.append)
        finally:
            await attached.aclose()
    [kept] = await library.summaries()
    chat = await library.load(kept.id)
    await library.aclose()
    assert [message.content for message in chat.messages] == ["Hi", "Hello"]
    assert chat.messages[1].stats is not None
    assert chat.messages[1].stats.completion_tokens == 5


async def test_a_chat_is_stopped_and_one_whose_server_has_gone_says_so(tmp_path: Path) -> None:
    library = ChatLibrary(tmp_path / "here" / "chats.db")
    async with serving(tmp_path / "there", (Text("Once"), forever, done())) as control:
        attached = Attachment(control.status.url)
        attached.begin()
        session = ChatSession(Chat("small"), attached.engine, library, attached.spec_of)
        try:
            session.say("Hi")
            await session.answer(lambda e: session.stop() if isinstance(e, Piece) else None)
            assert session.chat.messages[-1].content == "Once"
            assert session.chat.messages[-1].outcome == STOPPED
            await control.stop()
            session.say("And then?")
            with pytest.raises(NetworkUnavailable, match="cannot be reached"):
                await session.answer(lambda _event: None)
        finally:
            await attached.aclose()
    assert session.chat.messages[-1].content == "And then?"
    await library.aclose()


@pytest.mark.parametrize(
    "address", ["", "http://user:word@host", "ftp://host", "host:0", "a b:1/?x"]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError):
        Attachment(address)


async def test_who_is_asked_before_a_model_is_loaded_may_refuse(tmp_path: Path) -> None:
    library = ChatLibrary(tmp_path / "here" / "chats.db")
    asked: list[str] = []

    async def before_load(spec: ModelSpec) -> None:
        asked.append(spec.name)
        if spec.name == "thinker":
            raise EngineError("Not now.")

    async with serving(tmp_path / "there", status=EngineStatus()) as control:
        attached = Attachment(control.status.url)
        attached.begin()
        chat = Chat("thinker")
        session = ChatSession(
            chat, attached.engine, library, attached.spec_of, before_load=before_load
        )
        try:
            session.say("Hi")
            with pytest.raises(EngineError, match="Not now"):
                await session.answer(lambda _event: None)
            chat.model = "small"
            await session.answer(lambda _event: None)
        finally:
            await attached.aclose()
    assert asked == ["thinker", "small"]
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    await library.aclose()
