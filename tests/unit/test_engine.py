"""The shared engine with the real model in a real process that is killed, stopped and starved."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from npurun_tui.engine.dialog import Sampler, SentenceCode
from npurun_tui.engine.engine import Engine, EngineState, EngineStatus, Permit
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    TurnOptions,
    begin_turn,
)
from npurun_tui.errors import (
    ContextOverflow,
    EngineCrashed,
    EngineError,
    EngineLoadFailed,
    ModelFileDamaged,
    NpurunError,
)

pytestmark = pytest.mark.model

GREEDY = Sampler(temperature=0, top_k=1)
signals = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
one_loop = pytest.mark.asyncio(loop_scope="module")
"""For the tests with the `shared` engine, whose process and locks belong to one loop."""


@pytest.fixture
def spec(model_file: Path) -> ModelSpec:
    return ModelSpec("smollm2", "llama.cpp", model_file.parent, model_file, context=1024)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=60)
    yield engine
    await close(engine)


async def close(engine: Engine) -> None:
    pid = engine.pid
    await engine.aclose()
    assert pid is None or not psutil.pid_exists(pid), "an engine process was left behind"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """An engine whose process no test ends: the model is loaded once for all of them."""
    engine = Engine(log=tmp_path_factory.mktemp("shared") / "engine.log", answer_timeout=60)
    yield engine
    await close(engine)


async def answer(
    permit: Permit,
    prompt: str | list[ChatMessage],
    max_tokens: int = 8,
    on_piece: Callable[[str], None] = lambda _text: None,
) -> tuple[str, Finished]:
    """One greedy turn: its text and its end."""
    messages = [ChatMessage("user", prompt)] if isinstance(prompt, str) else prompt
    pieces: list[str] = []

    def on_event(event: Prefill | Piece) -> None:
        if isinstance(event, Piece):
            pieces.append(event.text)
            on_piece(event.text)

    finished = await begin_turn(permit, 1024, messages, TurnOptions(GREEDY, max_tokens)).run(
        on_event
    )
    return "".join(pieces), finished


async def wait_for(engine: Engine, wanted: Callable[[EngineStatus], bool]) -> EngineStatus:
    """The first status that is as wanted."""
    changed = asyncio.Event()
    unsubscribe = engine.subscribe(lambda _status: changed.set())
    try:
        async with asyncio.timeout(30):
            while not wanted(engine.status):
                changed.clear()
                await changed.wait()
    finally:
        unsubscribe()
    return engine.status


# --- the ordinary way --------------------------------------------------------------------------


async def test_load_answer_and_the_states_on_the_way(engine: Engine, spec: ModelSpec) -> None:
    seen: list[EngineState] = []
    engine.subscribe(lambda status: seen.append(status.state))
    async with engine.permit("test") as permit:
        model = await permit.load(spec)
        assert (model.name, model.backend, model.context_size) == ("smollm2", "llama.cpp", 1024)
        assert engine.status.holder == "test"
        text, finished = await answer(permit, "Please repeat this word: banana", 24)
    assert "banana" in text.lower()
    stats = finished.stats
    assert stats.completion_tokens <= 24
    assert stats.prompt_tokens == stats.prefilled_tokens > 10
    assert stats.ttft_ms > 0
    assert stats.decode_tps > 0
    assert stats.occupancy >= stats.prompt_tokens
    order = list(dict.fromkeys(seen))
    assert order == [
        EngineState.STOPPED,
        EngineState.LOADING,
        EngineState.READY,
        EngineState.GENERATING,
    ]
    assert engine.status.holder is None


async def test_loading_the_same_model_again_costs_nothing(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("one") as permit:
        first = await permit.load(spec)
        pid = engine.pid
    async with engine.permit("two") as permit:
        assert await permit.load(spec) is first
        assert engine.pid == pid
        await permit.load(replace(spec, context=512))
        assert engine.pid != pid, "another window is another process: only its end frees the memory"


@one_loop
async def test_max_tokens_and_the_finish_reason(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        _, finished = await answer(permit, "Count from one to one hundred.", 5)
        assert (finished.reason, finished.stats.completion_tokens) == (FinishReason.LENGTH, 5)
        _, finished = await answer(permit, "Say only the word yes.", 200)
        assert finished.reason is FinishReason.STOP


async def test_turn_ten_prefills_only_what_is_new(engine: Engine, spec: ModelSpec) -> None:
    """Sampled, not greedy: what the model says is then often not what its tokenizer would have made of it."""
    messages: list[ChatMessage] = []
    async with engine.permit("test") as permit:
        await permit.load(spec)
        for number in range(10):
            messages.append(ChatMessage("user", f"Tell me something about the number {number} 👍."))
            new = len(await permit.dialog.tokenize(messages[-1].content))
            pieces: list[str] = []
            options = TurnOptions(Sampler(temperature=1.2, seed=number), 16)
            finished = await begin_turn(permit, 1024, messages, options).run(
                lambda event, pieces=pieces: (
                    pieces.append(event.text)  # type: ignore[misc]
                    if isinstance(event, Piece)
                    else None
                )
            )
            messages.append(ChatMessage("assistant", "".join(pieces) or "."))
            if number:
                assert finished.stats.prefilled_tokens <= new + 64
                assert finished.stats.cached_tokens > 0
        assert finished.stats.prompt_tokens > 300


@one_loop
async def test_another_conversation_does_not_bleed_in(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        alone, _ = await answer(permit, "What is the capital of Italy?", 16)
        await answer(permit, "My name is Bartholomew. Remember it.", 16)
        again, _ = await answer(permit, "What is the capital of Italy?", 16)
    assert again == alone


# --- stopping ----------------------------------------------------------------------------------


@one_loop
async def test_stop_keeps_the_text_and_frees_the_dialog(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        pieces: list[str] = []
        turn = begin_turn(
            permit, 1024, [ChatMessage("user", "Tell a long story.")], TurnOptions(GREEDY, 500)
        )

        def on_event(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                pieces.append(event.text)
                if len(pieces) == 5:
                    turn.stop()

        finished = await turn.run(on_event)
        assert finished.reason is FinishReason.ABORTED
        # What was made while the stop travelled through two processes; far from the 500 asked for.
        assert 5 <= finished.stats.completion_tokens < 60
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
        assert "banana" in text.lower()


@one_loop
async def test_stop_before_the_first_token(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        long = ChatMessage("user", "word " * 800)
        turn = begin_turn(permit, 1024, [long], TurnOptions(GREEDY, 50))
        turn.stop()
        finished = await turn.run(lambda _event: None)
        assert (finished.reason, finished.stats.completion_tokens) == (FinishReason.ABORTED, 0)
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
        assert "banana" in text.lower()


@one_loop
async def test_a_cancelled_turn_leaves_a_usable_dialog(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        begun = asyncio.Event()
        task = asyncio.create_task(
            answer(permit, "Tell a long story.", 500, lambda _text: begun.set())
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
        assert "banana" in text.lower()


@one_loop
async def test_an_exception_of_a_callback_ends_the_turn_and_is_raised(
    shared: Engine, spec: ModelSpec
) -> None:
    calls = 0

    def full_pipe(_text: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise BrokenPipeError

    async with shared.permit("test") as permit:
        await permit.load(spec)
        with pytest.raises(BrokenPipeError):
            await answer(permit, "Tell a long story.", 500, full_pipe)
        assert calls == 3
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
        assert "banana" in text.lower()


async def test_cancelling_a_load_ends_the_process(engine: Engine, spec: ModelSpec) -> None:
    async def load() -> None:
        async with engine.permit("test") as permit:
            await permit.load(spec)

    task = asyncio.create_task(load())
    await wait_for(engine, lambda status: status.state is EngineState.LOADING)
    await wait_until(lambda: engine.pid is not None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.pid is None
    assert engine.status.state is EngineState.STOPPED
    await load()
    assert engine.status.model is not None


async def test_cancelling_twice_while_loading_leaves_it_stopped(
    engine: Engine, spec: ModelSpec
) -> None:
    async def load() -> None:
        async with engine.permit("test") as permit:
            await permit.load(spec)

    task = asyncio.create_task(load())
    await wait_until(lambda: engine.pid is not None)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.status.state is EngineState.STOPPED
    assert (engine.pid, engine.status.loading) == (None, "")


async def test_cancelling_a_change_of_model_leaves_it_stopped(
    engine: Engine, spec: ModelSpec
) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        task = asyncio.create_task(permit.load(replace(spec, name="other")))
        await wait_for(engine, lambda status: status.state is EngineState.LOADING)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.status.state is EngineState.STOPPED
        assert (engine.pid, engine.status.model) == (None, None)


async def test_a_closed_engine_starts_nothing(engine: Engine, spec: ModelSpec) -> None:
    loaded: list[str] = []

    async def use(who: str) -> None:
        async with engine.permit(who) as permit:
            loaded.append((await permit.load(spec)).name)

    async with engine.permit("test"):
        waiting = asyncio.create_task(use("in line"))
        await wait_for(engine, lambda status: status.waiting == ("in line",))
        await engine.aclose()
    with pytest.raises(EngineError, match="closed"):
        await waiting
    assert (loaded, engine.pid) == ([], None)


async def test_closing_while_a_load_starts_leaves_no_process(
    engine: Engine, spec: ModelSpec
) -> None:
    async with engine.permit("test") as permit:
        loading = asyncio.create_task(permit.load(spec))
        await wait_for(engine, lambda status: status.state is EngineState.LOADING)
        await engine.aclose()
        with pytest.raises(EngineError):
            await loading
    assert engine.pid is None


async def test_a_permit_opens_nothing_after_its_block(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
    with pytest.raises(EngineError, match="given back"):
        _ = permit.dialog
    with pytest.raises(EngineError, match="given back"):
        await permit.unload()


async def test_stop_ends_a_template_without_end(tmp_path: Path, spec: ModelSpec) -> None:
    """Jinja's sandbox bounds each loop, not loops in loops."""
    endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x"
    endless += "{% endfor %}{% endfor %}{% endfor %}"
    command = (sys.executable, "-m", "tests.support.endless_host", endless)
    engine = Engine(log=tmp_path / "engine.log", command=command)
    try:
        async with engine.permit("test") as permit:
            await permit.load(spec)
            turn = begin_turn(permit, 1024, [ChatMessage("user", "hi")], TurnOptions(GREEDY, 5))
            running = asyncio.create_task(turn.run(lambda _event: None))
            await asyncio.sleep(0.2)  # into the template; before it, stopping is no feat
            turn.stop()
            async with asyncio.timeout(20):
                finished = await running
            assert finished.reason is FinishReason.ABORTED
    finally:
        await engine.aclose()


# --- crashes -----------------------------------------------------------------------------------


@signals
async def test_killed_in_the_middle_of_an_answer(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        pieces: list[str] = []

        def on_piece(text: str) -> None:
            pieces.append(text)
            if len(pieces) == 3:
                kill(engine, signal.SIGKILL)

        with pytest.raises(EngineCrashed, match="SIGKILL"):
            await answer(permit, "Tell a long story.", 500, on_piece)
        assert len(pieces) >= 3, "what had arrived is kept"
        assert engine.status.state is EngineState.CRASHED
        assert "SIGKILL" in engine.status.reason
    await wait_for(engine, lambda status: status.state is EngineState.READY and not status.holder)
    async with engine.permit("test") as permit:
        await permit.load(spec)
        story = [ChatMessage("user", "Hi."), ChatMessage("assistant", "".join(pieces))]
        question = ChatMessage("user", "Please repeat this word: banana")
        text, finished = await answer(permit, [*story, question], 24)
    assert "banana" in text.lower()
    assert finished.stats.cached_tokens == 0, "the cache went with the process"


@signals
async def test_killed_while_loading(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        loading = asyncio.create_task(permit.load(spec))
        await wait_until(lambda: engine.pid is not None)
        kill(engine, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="SIGKILL"):
            await loading
        assert engine.status.state is EngineState.CRASHED
        await permit.load(spec)
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
    assert "banana" in text.lower()


@signals
async def test_killed_while_idle_it_comes_back_by_itself(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
    before = engine.pid
    kill(engine, signal.SIGKILL)
    status = await wait_for(
        engine,
        lambda status: status.state is EngineState.READY and engine.pid not in (None, before),
    )
    assert status.model is not None


@signals
async def test_who_unloads_after_a_crash_is_not_overruled(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
        kill(engine, signal.SIGKILL)
        await wait_for(engine, lambda status: status.state is EngineState.CRASHED)
        await permit.unload()
    await wait_for(engine, lambda status: not status.holder and not status.waiting)
    assert engine.status.state is EngineState.STOPPED
    assert engine.pid is None


@signals
async def test_without_a_waiting_line_it_comes_back_too(tmp_path: Path, spec: ModelSpec) -> None:
    engine = Engine(log=tmp_path / "engine.log", max_queue=0)
    try:
        async with engine.permit("test") as permit:
            await permit.load(spec)
            kill(engine, signal.SIGKILL)
            await wait_for(engine, lambda status: status.state is EngineState.CRASHED)
        await wait_for(engine, lambda status: status.state is EngineState.READY)
    finally:
        await engine.aclose()


@signals
async def test_an_engine_that_keeps_dying_stays_down(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(spec)
    for _ in range(2):
        kill(engine, signal.SIGKILL)
        await wait_for(engine, lambda status: status.state is EngineState.CRASHED)
        await wait_for(
            engine, lambda status: status.state is EngineState.READY and not status.holder
        )
    kill(engine, signal.SIGKILL)
    status = await wait_for(engine, lambda status: status.state is EngineState.FAILED)
    assert "3 times within a minute" in status.reason
    async with engine.permit("test") as permit:
        await permit.load(spec)
        assert (await answer(permit, "Please repeat this word: banana", 24))[0]


@signals
async def test_a_hanging_engine_is_ended_by_the_watchdog(tmp_path: Path, spec: ModelSpec) -> None:
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=1.5)
    try:
        async with engine.permit("test") as permit:
            await permit.load(spec)
            pieces: list[str] = []

            def on_piece(text: str) -> None:
                pieces.append(text)
                if len(pieces) == 3:
                    kill(engine, signal.SIGSTOP)

            with pytest.raises(EngineCrashed, match=r"no sign of life for 1\.5 s"):
                await answer(permit, "Tell a long story.", 500, on_piece)
            assert len(pieces) >= 3
    finally:
        await engine.aclose()


# --- what cannot be done is said ---------------------------------------------------------------


@one_loop
async def test_a_prompt_longer_than_the_window(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        with pytest.raises(ContextOverflow, match=r"has \d,\d+ tokens.*window holds 1,024"):
            await answer(permit, "word " * 3000)
        text, _ = await answer(permit, "Please repeat this word: banana", 24)
    assert "banana" in text.lower()


async def test_an_answer_that_fills_the_window(engine: Engine, spec: ModelSpec) -> None:
    async with engine.permit("test") as permit:
        await permit.load(replace(spec, context=256))
        prompt = "Write a very long story about a ship. " * 22
        _, finished = await answer(permit, prompt, 1000)
    assert finished.reason is FinishReason.LENGTH
    assert finished.stats.note == "the context window is full"
    assert finished.stats.completion_tokens > 0
    assert finished.stats.prompt_tokens > 100


@one_loop
@pytest.mark.parametrize(
    "prompt", ["\x00", "a\x00b", "\x1b[31mred\x1b]0;title\x07", "\ud800", "\u202e"]
)
async def test_prompts_with_odd_characters(shared: Engine, spec: ModelSpec, prompt: str) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        _, finished = await answer(permit, prompt, 4)
    assert finished.stats.prompt_tokens > 0


@one_loop
async def test_an_empty_prompt(shared: Engine, spec: ModelSpec) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        with pytest.raises(EngineError, match="empty"):
            await answer(permit, " \n")


async def test_without_a_model(engine: Engine) -> None:
    async with engine.permit("test") as permit:
        with pytest.raises(EngineError, match="No model is loaded"):
            await permit.dialog.occupancy()


async def test_a_truncated_model_file(engine: Engine, spec: ModelSpec, tmp_path: Path) -> None:
    assert spec.model_file is not None
    short = tmp_path / "short.gguf"
    short.write_bytes(spec.model_file.read_bytes()[:50_000_000])
    async with engine.permit("test") as permit:
        with pytest.raises((ModelFileDamaged, EngineLoadFailed)) as caught:
            await permit.load(replace(spec, model_file=short))
        assert "\n" not in str(caught.value)
        assert caught.value.mend
        assert engine.status.state is EngineState.FAILED
        await permit.load(spec)
    assert engine.status.model is not None


async def test_a_log_folder_that_cannot_be_made(tmp_path: Path, spec: ModelSpec) -> None:
    (tmp_path / "file").write_text("in the way")
    engine = Engine(log=tmp_path / "file" / "engine.log")
    async with engine.permit("test") as permit:
        with pytest.raises(NpurunError, match="could not be started"):
            await permit.load(spec)
    await engine.aclose()


@one_loop
async def test_save_and_restore_over_the_process_boundary(
    shared: Engine, spec: ModelSpec, tmp_path: Path
) -> None:
    async with shared.permit("test") as permit:
        await permit.load(spec)
        dialog = permit.dialog
        await dialog.configure(GREEDY, max_tokens=4)
        await dialog.query("Once upon a time", SentenceCode.COMPLETE)
        before = await dialog.occupancy()
        await dialog.save(tmp_path / "snapshot")
        await dialog.reset()
        assert await dialog.occupancy() == 0
        await dialog.restore(tmp_path / "snapshot")
        assert await dialog.occupancy() == before
        tokens = await dialog.tokenize("hello")
        assert await dialog.detokenize(tokens) == "hello"


def kill(engine: Engine, number: signal.Signals) -> None:
    """Send a signal to the engine's process."""
    assert engine.pid is not None
    os.kill(engine.pid, number)


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop run until `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event for "a process id exists"
            await asyncio.sleep(0.005)
