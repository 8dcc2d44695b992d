"""The engine process with a Genie library in it: what it says on stderr is in the log, also while it hangs or fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import SentenceCode
from npurun_tui.engine.engine import Engine, EngineState
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import FinishReason, TurnOptions, begin_turn
from npurun_tui.errors import EngineCrashed, EngineLoadFailed
from tests.support.abi_library import built_library
from tests.support.soak import TEXT, tell, write_model


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NPURUN_GENIE_LIB", str(built_library()))
    return write_model(tmp_path / "model")[1]


@pytest.fixture
def spec(script: Path) -> ModelSpec:
    return ModelSpec("scripted", "genie", script.parent, script.with_name("genie_config.json"))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(log=tmp_path / "engine.log", answer_timeout=2.0)
    yield engine
    await engine.aclose()


async def test_a_failed_load_shows_genies_text_and_logs_it(
    engine: Engine, script: Path, spec: ModelSpec
) -> None:
    tell(script, [{"kind": "create"}])
    async with engine.permit("test") as permit:
        with pytest.raises(EngineLoadFailed, match="14001") as caught:
            await permit.load(spec)
    assert "doctor" in caught.value.mend
    assert engine.status.state is EngineState.FAILED
    assert "14001" in engine.status.reason
    assert "14001" in engine.log.read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells where a descriptor goes")
async def test_stderr_is_the_log_while_a_query_hangs(
    engine: Engine, script: Path, spec: ModelSpec
) -> None:
    """Sent elsewhere for the length of a query, what a crashing library said last would be lost."""
    tell(script, [{"kind": "hang", "at": 1}])
    heard = asyncio.Event()
    async with engine.permit("test") as permit:
        await permit.load(spec)
        query = asyncio.ensure_future(
            permit.dialog.query("one", SentenceCode.COMPLETE, lambda *_: heard.set())
        )
        await heard.wait()
        assert Path(f"/proc/{engine.pid}/fd/2").readlink() == engine.log
        with pytest.raises(EngineCrashed, match="no sign of life"):
            await query


async def test_a_turn_can_be_stopped_while_the_engine_is_restarted(
    engine: Engine, script: Path, spec: ModelSpec
) -> None:
    async with engine.permit("test") as permit:
        model = await permit.load(spec)
        question = [ChatMessage("user", "Does it?")]
        done = await begin_turn(permit, model.context_size, question, TurnOptions()).run(
            lambda _event: None
        )
        assert done.reason is FinishReason.STOP
        tell(script, [{"kind": "wedge-process"}])
        longer = [*question, ChatMessage("assistant", TEXT), ChatMessage("user", "And now?")]
        turn = begin_turn(permit, model.context_size, longer, TurnOptions())

        def stop_when_loading(_status: object) -> None:
            if engine.status.state is EngineState.LOADING:
                turn.stop()

        engine.subscribe(stop_when_loading)
        stopped = await turn.run(lambda _event: None)
        assert stopped.reason is FinishReason.ABORTED
        assert stopped.stats.completion_tokens == 0
        tell(script, [])
        await permit.load(spec)
        again = await begin_turn(permit, model.context_size, longer, TurnOptions()).run(
            lambda _event: None
        )
    assert again.reason is FinishReason.STOP
