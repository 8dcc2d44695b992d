"""The engine as a side of a bench: the real model in a real process, and a played one where only the order matters."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.engine_target import EngineAtHand, EngineTarget, Facts
from npurun_tui.bench.events import BenchEvent, Resting, RunEnded, Ticked, Waiting
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.prompts import asking
from npurun_tui.bench.records import Session
from npurun_tui.bench.runner import Bench
from npurun_tui.bench.target import Measured, Progress, Question
from npurun_tui.engine.conversations import ConversationCache
from npurun_tui.engine.dialog import Sampler, SentenceCode
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.remote import RemoteDialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import TurnOptions
from npurun_tui.errors import EngineError, UsageError
from tests.bench.playing import MACHINE, Heard, PlayedMeter
from tests.support.playing_host import Script

LONG = asking(
    "Tell me a long story about a lighthouse on an island, and about everybody who lives there."
)
GREEDY = Sampler(temperature=0, top_k=1)
signals = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def hand(
    target: EngineTarget, *, fresh: bool = False, loading: Callable[[], None] = lambda: None
) -> AbstractAsyncContextManager[EngineAtHand]:
    return target.at_hand(0, lambda _ahead, _holder: None, loading, fresh=fresh)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    conversations = ConversationCache(tmp_path / "conversations", 200_000_000)
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=60, conversations=conversations)
    yield engine
    await engine.aclose()


@pytest.fixture
def spec(model_file: Path) -> ModelSpec:
    return ModelSpec("smollm2", "llama.cpp", model_file.parent, model_file, context=1024)


@pytest.fixture
def target(engine: Engine, spec: ModelSpec) -> EngineTarget:
    return EngineTarget(engine, spec)


Play = Callable[[Script], tuple[Engine, EngineTarget]]


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    """An engine whose model says what the script says, and that model as a side."""
    engines: list[Engine] = []

    def start(script: Script) -> tuple[Engine, EngineTarget]:
        command = script.command(tmp_path / "script.json")
        engine = Engine(log=tmp_path / "engine.log", answer_timeout=60, command=command)
        engines.append(engine)
        return engine, EngineTarget(engine, ModelSpec("played", "genie", tmp_path, context=4096))

    yield start
    for engine in engines:
        await engine.aclose()


# --- windows ----------------------------------------------------------------------------------


async def test_a_bundles_windows_are_its_tiers(tmp_path: Path) -> None:
    engine = Engine(log=tmp_path / "engine.log")
    facts = Facts(window=4096, tiers=(512, 1024, 4096))
    target = EngineTarget(engine, ModelSpec("phi", "genie", tmp_path), facts=facts)
    await target.check((0, 512, 4096))
    with pytest.raises(UsageError, match="2,048 tokens; it has 512, 1,024, 4,096"):
        await target.check((512, 2048))


async def test_a_cpu_model_takes_any_window_that_it_was_made_for(tmp_path: Path) -> None:
    engine = Engine(log=tmp_path / "engine.log")
    spec = ModelSpec("smollm2", "llama.cpp", tmp_path)
    target = EngineTarget(engine, spec, facts=Facts(window=8192))
    await target.check((0, 1, 777, 8192))
    with pytest.raises(UsageError, match="8,192 is the largest"):
        await target.check((8193,))
    await EngineTarget(engine, spec).check((10**6,))  # where nobody knows, the engine says


# --- the permit -------------------------------------------------------------------------------


async def test_who_waits_hears_who_holds_the_permit(play: Play) -> None:
    engine, target = play(Script([("", "so it is")]))
    heard: list[tuple[int, str]] = []
    waits = asyncio.Event()

    def on_wait(ahead: int, holder: str) -> None:
        heard.append((ahead, holder))
        waits.set()

    async def take() -> None:
        async with target.at_hand(0, on_wait, lambda: None):
            assert engine.status.holder == "bench"

    async with engine.permit("chat"):
        task = asyncio.create_task(take())
        await waits.wait()
    await task
    assert heard == [(1, "chat")]


async def test_a_chat_gets_in_between_two_blocks(play: Play) -> None:
    engine, target = play(Script([("", "so it is")]))
    order: list[str] = []
    chats: list[asyncio.Task[None]] = []

    async def chat() -> None:
        async with engine.permit("chat"):
            order.append("chat")

    def hear(event: BenchEvent) -> None:
        if isinstance(event, RunEnded):
            order.append(f"{event.run.repeat}")
            if len(order) == 1:
                chats.append(asyncio.create_task(chat()))
        elif isinstance(event, Waiting):
            order.append(f"waits for {event.holder}")

    plan = Plan(prompts=("joke", "number"), repeats=2, warmups=0, loads=False)
    session = await Bench(plan, [target], machine=MACHINE).run(hear)
    assert session.complete
    assert order == ["0", "0", "waits for chat", "chat", "1", "1"]


async def test_nobody_has_an_answer_while_the_idle_machine_is_measured(play: Play) -> None:
    engine, target = play(Script([("", "so it is")]))
    other = EngineTarget(engine, target._spec, key="b")  # which shares the permit
    order: list[str] = []
    chats: list[asyncio.Task[None]] = []

    async def chat() -> None:
        async with engine.permit("chat", lambda _ahead: order.append(engine.status.holder or "")):
            order.append("chat")

    def hear(event: BenchEvent) -> None:
        if isinstance(event, Resting):
            chats.append(asyncio.create_task(chat()))

    plan = Plan(prompts=("joke",), repeats=1, warmups=0, loads=False, idle_s=0.05)
    session = await Bench(plan, [target, other], machine=MACHINE, meter=PlayedMeter()).run(hear)
    assert session.complete
    assert order == ["bench: idle rest", "chat"]


async def test_a_bench_that_waits_can_be_stopped(play: Play) -> None:
    engine, target = play(Script([("", "so it is")]))
    going = Bench(Plan(prompts=("joke",)), [target], machine=MACHINE)

    def hear(event: BenchEvent) -> None:
        if isinstance(event, Waiting):
            going.stop()

    async with engine.permit("chat"):
        session = await going.run(hear)
        assert engine.status.waiting == (), "it has left the line"
    assert (session.reason, session.runs) == ("stopped", ())


async def test_two_models_of_one_engine_take_turns(play: Play, tmp_path: Path) -> None:
    engine, first = play(Script([("", "so it is")]))
    other = ModelSpec("other", "genie", tmp_path, context=1024)
    second = EngineTarget(engine, other, key="b", facts=Facts(model_hash="ab" * 32, quant="w4a16"))
    plan = Plan(prompts=("joke",), repeats=2, warmups=1)
    session = await Bench(plan, [first, second], machine=MACHINE).run(Heard())
    assert session.complete
    assert [(run.side, run.context, run.warmup) for run in session.runs] == [
        (side, context, warmup)
        for _ in range(2)
        for side, context in (("a", 4096), ("b", 1024))
        for warmup in (True, False)
    ]
    assert [(load.side, load.cold) for load in session.loads] == [
        ("a", True),
        ("a", False),
        ("b", True),
        ("b", False),
        ("a", False),
        ("b", False),
    ]
    side = session.side("b")
    assert (side.model, side.context, side.quant) == ("other", 1024, "w4a16")
    assert side.model_hash == "ab" * 32
    assert engine.status.holder is None


# --- an engine that is lost -------------------------------------------------------------------


async def test_an_engine_that_dies_again_and_again_ends_it(play: Play) -> None:
    _, target = play(Script([("", "so it is, says the sailor")], crash_after=3))
    plan = Plan(prompts=("joke",), repeats=9, warmups=0, loads=False)
    session = await Bench(plan, [target], machine=MACHINE).run(Heard())
    assert not session.complete
    assert [run.outcome for run in session.runs] == ["failed"] * 3
    assert [run.completion_tokens for run in session.runs] == [3] * 3, "what had come is told"
    assert "The engine process ended" in session.reason


async def test_a_cancelled_answer_leaves_the_side_fit_for_the_next(play: Play) -> None:
    _, target = play(Script([("", "so it is " * 200)], pause=0.01))
    async with hand(target) as measuring:
        progress = Progress()
        task = asyncio.create_task(measuring.measure(Question(LONG, 300), progress))
        while not progress.tokens:
            await asyncio.wait({task}, timeout=0.01)
            progress.refresh()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        measured = await measuring.measure(Question(LONG, 4), Progress())
    assert measured.completion_tokens == 4
    assert measured.outcome == "length"


async def test_a_model_that_answers_nothing(play: Play) -> None:
    _, target = play(Script([("", "")]))
    async with hand(target) as measuring:
        measured = await measuring.measure(Question(LONG, 8), Progress())
    assert measured.outcome == "empty"
    assert measured.host.ttft_ms is None
    assert measured.completion_tokens == 0


async def test_the_side_says_where_it_runs(play: Play) -> None:
    engine, target = play(Script([("", "so it is")]))
    assert target.pids == frozenset()
    async with hand(target) as measuring:
        assert measuring.side.device == "NPU (played)"
        assert measuring.side.runtime == "played"
        assert measuring.side.context == 4096
        assert target.pids == {engine.pid}


# --- the real model ---------------------------------------------------------------------------


@pytest.mark.model
async def test_each_load_is_one_of_a_new_process_and_the_first_counts_as_cold(
    engine: Engine, target: EngineTarget
) -> None:
    pids, loads, told = [], [], list[str]()
    for fresh in (True, True, False):
        async with hand(target, fresh=fresh, loading=lambda: told.append("loading")) as measuring:
            pids.append(engine.pid)
            loads.append(measuring.load)
    assert [None if load is None else load.cold for load in loads] == [True, False, None]
    assert all(load is None or load.ms > 0 for load in loads)
    assert pids[0] != pids[1] == pids[2]
    assert told == ["loading"] * 2


@pytest.mark.model
async def test_the_figures_of_a_run_and_of_one_that_goes_on_from_it(target: EngineTarget) -> None:
    async with hand(target) as measuring:
        first = await measuring.measure(Question(LONG, 24), Progress())
        again = await measuring.measure(Question(LONG, 24), Progress())
        longer = (*LONG, ChatMessage("assistant", first.text), ChatMessage("user", "And then?"))
        kept = await measuring.measure(Question(longer, 8, keep=True), Progress())
        anew = await measuring.measure(Question(longer, 8), Progress())
        counted = await measuring.count(LONG)
    assert first.prompt_tokens == again.prompt_tokens == counted
    assert first.cached_tokens == again.cached_tokens == anew.cached_tokens == 0
    assert first.completion_tokens == 24
    assert (first.outcome, first.text) == ("length", again.text)
    assert kept.cached_tokens is not None
    assert kept.cached_tokens > counted
    assert kept.prompt_tokens == anew.prompt_tokens
    for measured in (first, again, kept, anew):
        host, own = measured.host.ttft_ms, measured.engine.ttft_ms
        assert host is not None
        assert own is not None
        assert own < host < measured.total_ms, "the host hears of a token after the engine made it"


@pytest.mark.model
async def test_a_conversation_that_the_engine_held_is_brought_back_after_the_bench(
    engine: Engine, target: EngineTarget, spec: ModelSpec
) -> None:
    talk = [ChatMessage("user", "word " * 400 + "Which word was that?")]
    options = TurnOptions(sampler=GREEDY, max_tokens=4)
    async with engine.permit("chat") as permit:
        model = await permit.load(spec)
        turn = permit.begin(model.context_size, talk, options)
        said = await turn.run(lambda _event: None)
    async with hand(target) as measuring:
        await measuring.measure(Question(LONG, 4), Progress())
    async with engine.permit("chat") as permit:
        assert await permit.dialog.occupancy() == 0, "nobody saves the bench's answers"
        again = await permit.begin(model.context_size, talk, options).run(lambda _event: None)
    assert said.stats.prompt_tokens > 400
    assert again.stats.cached_tokens > 400


@pytest.mark.model
@signals
async def test_an_engine_that_is_killed_costs_one_run(engine: Engine, target: EngineTarget) -> None:
    killed: list[int] = []

    def hear(event: BenchEvent) -> None:
        if isinstance(event, Ticked) and event.tokens and not killed and engine.pid is not None:
            killed.append(engine.pid)
            os.kill(engine.pid, signal.SIGKILL)

    plan = Plan(prompts=("local",), outputs=(96,), repeats=2, warmups=0, loads=False)
    session = await Bench(plan, [target], machine=MACHINE).run(hear)
    assert session.complete
    assert [run.outcome for run in session.runs] == ["failed", "length"]
    assert session.runs[0].completion_tokens
    assert "killed" in session.runs[0].fault.lower()


@pytest.mark.model
async def test_a_bench_of_two_windows(target: EngineTarget) -> None:
    plan = Plan(
        lengths=(48, 0), outputs=(8,), contexts=(96, 160), repeats=1, warmups=1, energy=False
    )
    session: Session = await Bench(plan, [target], machine=MACHINE).run(Heard())
    assert session.complete, session.reason
    assert [(run.context, run.prompt_tokens) for run in session.counted()] == [
        (96, 48),
        (96, 96 - 8),
        (160, 48),
        (160, 160 - 8),
    ]
    assert [(load.cold, load.context) for load in session.loads] == [
        (True, 96),
        (False, 96),
        (False, 160),
    ]


class Stopwatch:
    """Hears the tokens from outside: when each came to the dialog's own callback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        query = RemoteDialog.query

        async def timed(
            dialog: RemoteDialog, text: str, code: SentenceCode, on_token: Any, *rest: Any
        ) -> Any:
            def hear(piece: str, kind: int) -> None:
                if kind in (SentenceCode.BEGIN, SentenceCode.CONTINUE):
                    self.times.append(time.perf_counter())
                on_token(piece, kind)

            self.times.clear()
            return await query(dialog, text, code, hear, *rest)

        monkeypatch.setattr(RemoteDialog, "query", timed)

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


@pytest.mark.model
async def test_three_clocks_agree_on_the_rate_within_one_percent(
    target: EngineTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three are taken in one run. A machine that is busy with something else may keep a token from one of them
    for a while, so one run of three has to do."""
    watch, off = Stopwatch(monkeypatch), list[tuple[float, float]]()
    async with hand(target) as measuring:
        await measuring.measure(Question(LONG, 8), Progress())
        while len(off) < 3 and not (off and max(off[-1]) <= 0.01):
            measured: Measured = await measuring.measure(Question(LONG, 192), Progress())
            assert measured.completion_tokens == len(watch.times) == 192
            ours, own = measured.host.decode_tps, measured.engine.decode_tps
            assert ours is not None
            assert own is not None
            off.append((abs(ours / watch.rate - 1), abs(ours / own - 1)))
    assert max(off[-1]) <= 0.01, off


@pytest.mark.model
async def test_a_model_of_embeddings_is_no_side(
    engine: Engine, target: EngineTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    load = engine._load

    async def embedding(spec: ModelSpec) -> Any:
        return replace(await load(spec), embeds=True)

    monkeypatch.setattr(engine, "_load", embedding)
    with pytest.raises(EngineError, match="makes embeddings"):
        async with hand(target):
            pass
