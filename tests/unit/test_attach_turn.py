"""An answer that a server elsewhere gives: over a real server that follows a script, and from ones that misbehave."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from npurun_tui.attach.engine import AttachedEngine
from npurun_tui.attach.there import ServerThere
from npurun_tui.attach.turn import RemoteTurn
from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.surface import Doing
from npurun_tui.engine.transcript import Finished, FinishReason, Piece, Prefill, TurnOptions
from npurun_tui.errors import EngineError, NetworkUnavailable
from npurun_tui.server.asking import Queued, Reading, Text, Thought
from npurun_tui.server.faults import Busy
from tests.server.scripted import STATS, Step, done
from tests.support.canned_server import CannedServer
from tests.support.server_tab import forever, listening

HI = [ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")]
OPTIONS = TurnOptions(Sampler(0.5, 7, 0.9, 3), max_tokens=20, stop=("END",))

Heard = list[Prefill | Piece | Doing]


def turn_at(there: ServerThere, context: int = 512) -> RemoteTurn:
    """A turn that asks for the model `small`."""
    return RemoteTurn(there, "small", context, HI, OPTIONS)


async def run(turn: RemoteTurn) -> tuple[str, list[str], Finished]:
    """The text, the words about waiting, and the end."""
    heard: Heard = []
    finished = await turn.run(heard.append)
    text = "".join(event.text for event in heard if isinstance(event, Piece))
    return text, [event.words for event in heard if isinstance(event, Doing)], finished


async def test_text_figures_and_what_was_waited_for(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (
        Queued(2),
        Reading(0, 30),
        Text("Hel"),
        Text("lo 🎉"),
        done(warnings=("two tools were dropped",)),
    )
    async with listening(tmp_path, script) as control:
        there = ServerThere(control.status.url)
        text, words, finished = await run(turn_at(there))
    assert text == "Hello 🎉"
    assert words == [
        f"waiting in line at {there.where}, 2 ahead",
        f"{there.where} reads the conversation",
    ]
    stats = finished.stats
    assert finished.reason is FinishReason.STOP
    assert (stats.prompt_tokens, stats.cached_tokens, stats.prefilled_tokens) == (30, 10, 20)
    assert (stats.completion_tokens, stats.decode_tps) == (5, 100.0)
    assert stats.ttft_ms == pytest.approx(STATS.ttft_ms)
    assert (stats.occupancy, stats.context_size) == (35, 512)
    assert stats.note == "the server warns: tools-dropped"


async def test_thoughts_stand_in_the_text_as_models_write_them(tmp_path: Path) -> None:
    script: tuple[Step, ...] = (Thought("Hm"), Thought("…"), Text("42"), done("length"))
    async with listening(tmp_path, script) as control:
        text, _, finished = await run(turn_at(ServerThere(control.status.url)))
    assert text == "<think>\nHm…\n</think>\n\n42"
    assert finished.reason is FinishReason.LENGTH


async def test_stopping_hangs_up_and_keeps_what_has_come(tmp_path: Path) -> None:
    async with listening(tmp_path, (Text("Once"), forever, done())) as control:
        turn = turn_at(ServerThere(control.status.url))
        heard: Heard = []

        def on_event(event: Prefill | Piece | Doing) -> None:
            heard.append(event)
            turn.stop()

        finished = await turn.run(on_event)
        assert finished.reason is FinishReason.ABORTED
        assert heard == [Piece("Once")]
        assert (finished.stats.completion_tokens, finished.stats.context_size) == (0, 0)
        async with asyncio.timeout(5):
            while control.status.active:  # noqa: ASYNC110 - it happens in the server's thread
                await asyncio.sleep(0.01)
        [row] = await asyncio.to_thread(control.log.recent)
        assert row.outcome == "client left"


async def test_a_cancelled_turn_leaves_no_task_and_no_request(tmp_path: Path) -> None:
    async with listening(tmp_path, (Text("Once"), forever, done())) as control:
        begun = asyncio.Event()
        turn = turn_at(ServerThere(control.status.url))
        before = asyncio.all_tasks()
        going = asyncio.create_task(turn.run(lambda _event: begun.set()))
        await begun.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert asyncio.all_tasks() == before


async def test_a_refusal_is_one_sentence_with_its_mend(tmp_path: Path) -> None:
    async with listening(tmp_path, (Busy("The line is full."),)) as control:
        with pytest.raises(EngineError, match=r"429: The line is full. It is busy") as caught:
            await run(turn_at(ServerThere(control.status.url)))
    assert "\n" not in str(caught.value)


async def test_a_failure_in_the_middle_is_told_and_what_came_is_valid(tmp_path: Path) -> None:
    async with listening(tmp_path, (Text("Half"), EngineError("The engine died."))) as control:
        heard: Heard = []
        with pytest.raises(EngineError, match=r"failed in the middle: The engine died"):
            await turn_at(ServerThere(control.status.url)).run(heard.append)
    assert heard == [Piece("Half")]


CHUNK = 'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (CHUNK, "ended the answer in the middle"),
        ("data: what\n\n", "not an answer"),
        ("data: [1]\n\n", "not an answer"),
        ('data: {"error": {"message": "out of\\u001b[31m luck"}}\n\n', "out of"),
    ],
)
async def test_servers_that_misbehave(body: str, words: str) -> None:
    with CannedServer() as server:
        server.answer(body)
        with pytest.raises((EngineError, NetworkUnavailable), match=words) as caught:
            await run(turn_at(ServerThere(server.address)))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "comment", ["queued ²", "queued 99999999999", "queued -1", "queued", "nonsense \x1b[2J", ""]
)
async def test_comments_that_say_nothing_are_silence(comment: str) -> None:
    with CannedServer() as server:
        server.answer(f": {comment}\n\n{CHUNK}data: [DONE]\n\n")
        text, words, finished = await run(turn_at(ServerThere(server.address)))
    assert (text, words) == ("Hi", [])
    assert finished.stats.context_size == 0  # it told no figures, so there is no gauge


async def test_figures_that_cannot_be_are_left_out() -> None:
    usage = {"prompt_tokens": -3, "completion_tokens": 1e9, "prompt_tokens_details": [7]}
    timings = {"predicted_per_second": float("inf"), "prompt_ms": "soon"}
    last = {"choices": [], "usage": usage, "timings": timings}
    with CannedServer() as server:
        server.answer(f"{CHUNK}data: {json.dumps(last)}\n\ndata: [DONE]\n\n")
        _, _, finished = await run(turn_at(ServerThere(server.address)))
    stats = finished.stats
    assert (stats.prompt_tokens, stats.completion_tokens, stats.cached_tokens) == (0, 0, 0)
    assert stats.decode_tps == 0.0


async def test_what_is_asked_is_what_the_chat_is_set_to() -> None:
    with CannedServer() as server:
        server.answer(f"{CHUNK}data: [DONE]\n\n")
        await run(turn_at(ServerThere(server.address, "secret")))
        [request] = server.requests
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("npurun-tui/")
    assert json.loads(request.body) == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "max_tokens": 20,
        "seed": 3,
        "stop": ["END"],
    }


async def test_nothing_to_answer_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    async with listening(tmp_path) as control:
        there = ServerThere(control.status.url)
        async with AttachedEngine(there).permit("chat") as permit:
            model = await permit.load(ModelSpec("small", "llama.cpp", Path()))
            with pytest.raises(EngineError, match="nothing to answer"):
                permit.begin(model.context_size, [ChatMessage("user", " ")], OPTIONS)
