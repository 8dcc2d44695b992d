"""Conversations in turn over the real engine: the same answers with and without snapshots, and far less to prefill."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.engine.conversations import ConversationCache
from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.engine import Engine, Permit
from npurun_tui.engine.held import Held
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.remote import RemoteDialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    TurnOptions,
    begin_turn,
)

pytestmark = pytest.mark.model

LIMIT = 1_000_000_000
GREEDY = Sampler(temperature=0, top_k=1)
ABOUT = {
    "A": "I keep bees on a hill above the sea. " * 4,
    "B": "The old railway to the mountains has nine tunnels. " * 4,
}
ASKED = ("What do you think of it?", "Tell me more.", "And in the winter?")


@pytest.fixture
def spec(model_file: Path) -> ModelSpec:
    return ModelSpec("smollm2", "llama.cpp", model_file.parent, model_file, context=1024)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "conversations"


@pytest.fixture
async def engine(tmp_path: Path, base: Path) -> AsyncIterator[Engine]:
    engine = Engine(
        log=tmp_path / "engine.log",
        answer_timeout=60,
        conversations=ConversationCache(base, LIMIT),
    )
    yield engine
    await engine.aclose()
    assert not base.exists() or list(base.iterdir()) == []


class Chat:
    """A conversation that the client holds, whole."""

    def __init__(self, name: str) -> None:
        self._about = ABOUT[name]
        self.messages: list[ChatMessage] = []

    async def ask(self, permit: Permit) -> tuple[str, Finished]:
        """One more turn: its answer."""
        asked = ASKED[len(self.messages) // 2 % len(ASKED)]
        question = asked if self.messages else self._about + asked
        self.messages.append(ChatMessage("user", question))
        pieces: list[str] = []

        def keep(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                pieces.append(event.text)

        options = TurnOptions(GREEDY, max_tokens=8)
        finished = await begin_turn(permit, 1024, self.messages, options).run(keep)
        self.messages.append(ChatMessage("assistant", "".join(pieces)))
        return "".join(pieces), finished


async def in_turn(permit: Permit, turns: int = 3) -> list[str]:
    """A, B, A, B…: all answers."""
    chats = [Chat("A"), Chat("B")]
    return [(await chat.ask(permit))[0] for _ in range(turns) for chat in chats]


async def test_the_answers_are_the_same_with_and_without(
    engine: Engine, spec: ModelSpec, tmp_path: Path
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        answers = await in_turn(permit)
    bare = Engine(log=tmp_path / "bare.log")
    try:
        async with bare.permit("test") as permit:
            await permit.load(spec)
            assert await in_turn(permit) == answers
    finally:
        await bare.aclose()


async def test_who_comes_back_prefills_only_what_is_new(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        for chat in (one, other):
            _, finished = await chat.ask(permit)
            assert finished.stats.prefilled_tokens > 50
        for _ in range(2):
            for chat in (one, other):
                before = finished.stats
                _, finished = await chat.ask(permit)
                stats = finished.stats
                assert stats.cached_tokens > 60
                assert stats.prefilled_tokens < 30
                assert stats.cached_tokens + stats.prefilled_tokens == stats.prompt_tokens
                assert stats.ttft_ms > 0
                assert before != stats


async def test_the_ttft_has_the_restore_in_it(
    engine: Engine, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(_cache: ConversationCache, _dialog: RemoteDialog, _prompt: str) -> float:
        return 1000.0

    monkeypatch.setattr(ConversationCache, "make_ready", slow)
    async with engine.permit("test") as permit:
        await permit.load(spec)
        _, finished = await Chat("A").ask(permit)
        assert finished.stats.ttft_ms > 1_000_000
        assert finished.stats.prefill_tps > 1  # the engine's own


async def test_who_measures_a_prefill_gets_one(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        await one.ask(permit)
        await other.ask(permit)
        await permit.dialog.reset()
        options = TurnOptions(GREEDY, max_tokens=1, snapshots=False)
        turn = begin_turn(permit, 1024, one.messages[:1], options)
        assert (await turn.run(lambda _event: None)).stats.cached_tokens == 0


async def test_the_wrong_snapshot_changes_no_answer(
    engine: Engine, spec: ModelSpec, base: Path
) -> None:
    """Whatever a snapshot is taken for, REWIND compares the prompt's tokens with those saved with the cache."""
    async with engine.permit("test") as permit:
        await permit.load(spec)
        expected, _ = await Chat("A").ask(permit)
        await permit.dialog.reset()
        other = Chat("B")
        await other.ask(permit)
        secret = base / "secret"
        await permit.dialog.save(secret)
        await permit.dialog.reset()
        chat = Chat("A")
        prompt = await permit.dialog.render(
            [ChatMessage("user", ABOUT["A"] + ASKED[0])],
        )
        await permit.dialog.adopt(secret, Held(prompt, "", 100))  # so it is said; B is what it is
        answer, finished = await chat.ask(permit)
        assert answer == expected
        assert finished.stats.cached_tokens < 40  # the system prompt, which both have
        shutil.rmtree(secret)


async def test_swapped_files_change_no_answer(engine: Engine, spec: ModelSpec, base: Path) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        expected = await in_turn(permit, turns=2)
        await permit.dialog.reset()
        chats = [Chat("A"), Chat("B")]
        answers = [(await chat.ask(permit))[0] for chat in chats]
        await permit.dialog.reset()
        snapshots = sorted(path for own in base.iterdir() for path in own.iterdir())
        assert len(snapshots) >= 2
        aside = snapshots[0].with_name("aside")
        snapshots[0].rename(aside)
        snapshots[1].rename(snapshots[0])
        aside.rename(snapshots[1])
        answers += [(await chat.ask(permit))[0] for chat in chats]
        assert answers == expected


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_crash_in_between_loses_no_snapshot(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        for chat in (one, other):
            await chat.ask(permit)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await permit.restart()
        _, finished = await one.ask(permit)
        assert finished.stats.cached_tokens > 60


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("operation", ["save", "restore"])
async def test_a_crash_meanwhile_is_answered_by_a_new_process(
    engine: Engine, spec: ModelSpec, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        await one.ask(permit)
        if operation == "restore":
            await other.ask(permit)
        dialog, call = permit.dialog, permit.dialog._call

        def die(name: str, **arguments: object) -> object:
            if name == operation:
                assert engine.pid is not None
                os.kill(engine.pid, signal.SIGKILL)
            return call(name, **arguments)

        monkeypatch.setattr(dialog, "_call", die)
        chat = other if operation == "save" else one
        answer, finished = await chat.ask(permit)
        assert finished.reason in (FinishReason.LENGTH, FinishReason.STOP)
        assert answer
        assert finished.stats.note
        _, finished = await chat.ask(permit)
        assert finished.stats.prefilled_tokens < 30


async def test_a_full_disk_costs_the_prefill_only(
    engine: Engine, spec: ModelSpec, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        await one.ask(permit)
        base.write_bytes(b"")  # no folder can be made
        await other.ask(permit)
        _, finished = await one.ask(permit)
        assert finished.stats.cached_tokens < 40
        assert "could not be saved" in caplog.text
    base.unlink()


@pytest.mark.parametrize("cancelled", [True, False])
async def test_stopped_while_a_cache_is_brought_back(
    engine: Engine, spec: ModelSpec, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        one, other = Chat("A"), Chat("B")
        await one.ask(permit)
        await other.ask(permit)
        adopt, begun = permit.dialog.adopt, asyncio.Event()

        async def slow(folder: Path, held: Held) -> None:
            begun.set()
            await adopt(folder, held)

        monkeypatch.setattr(permit.dialog, "adopt", slow)
        again = replace(one.messages[0], content=one.messages[0].content + " Really?")
        turn = begin_turn(permit, 1024, [again], TurnOptions(GREEDY, max_tokens=4))
        going = asyncio.create_task(turn.run(lambda _event: None))
        await begun.wait()
        if cancelled:
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
        else:
            turn.stop()
            assert (await going).reason is FinishReason.ABORTED
        _, finished = await one.ask(permit)
        assert finished.stats.cached_tokens > 60


async def test_who_left_in_the_middle_of_an_answer_comes_back(
    engine: Engine, spec: ModelSpec
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        begun = asyncio.Event()
        asked = [ChatMessage("user", ABOUT["A"] + ASKED[0])]
        turn = begin_turn(permit, 1024, asked, TurnOptions(GREEDY, max_tokens=200))

        def on_event(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                begun.set()

        going = asyncio.create_task(turn.run(on_event))
        await begun.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert permit.dialog.held is not None
        await Chat("B").ask(permit)
        _, finished = await Chat("A").ask(permit)
        assert finished.stats.cached_tokens > 60


async def test_a_changed_model_file_has_nothing_of_the_old_one(
    engine: Engine, spec: ModelSpec, tmp_path: Path
) -> None:
    assert spec.model_file is not None
    file = tmp_path / "model.gguf"
    shutil.copyfile(spec.model_file, file)
    mine = replace(spec, model_file=file)
    async with engine.permit("test") as permit:
        await permit.load(mine)
        one, other = Chat("A"), Chat("B")
        await one.ask(permit)
        await other.ask(permit)
        await permit.unload()
        await permit.load(mine)
        for chat in (one, other):  # the other one was saved when it was unloaded
            _, finished = await chat.ask(permit)
            assert finished.stats.cached_tokens > 60
        await permit.unload()
        os.utime(file, (0, 0))
        await permit.load(mine)
        _, finished = await one.ask(permit)
        assert finished.stats.cached_tokens == 0
