"""A whole bench of two endpoints: they take turns, and where one dies what was measured is kept."""

from __future__ import annotations

import asyncio

import pytest

from npurun_tui.bench.compare import compare_sides
from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.events import BenchEvent, Ended
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import Machine, Session
from npurun_tui.bench.runner import Bench
from npurun_tui.errors import NetworkUnavailable, UsageError
from tests.support.endpoint_server import (
    DONE,
    Endpoint,
    Reply,
    delta,
    endpoint,
    finish,
    lines,
    models,
    reply,
    stream,
    usage,
)

PLAN = Plan(("joke", "number"), outputs=(8,), repeats=3, warmups=1, energy=False)
RUNS = 2 * 3 + 1
MS = 1_000_000


def answering(pause: float = 0.02) -> Reply:
    """Eight tokens, at `1 / pause` a second."""
    words = [each for number in range(8) for each in (delta(content=f"w{number} "), pause)]
    counted = usage(20, 8, prompt_tokens_details={"cached_tokens": 0})
    return stream(*words, finish("length"), counted, DONE)


def ollama() -> dict[str, Reply]:
    """An Ollama with one model, loaded."""
    end = {
        "done": True,
        "done_reason": "length",
        "prompt_eval_count": 20,
        "prompt_eval_cached_count": 0,
        "prompt_eval_duration": 100 * MS,
        "eval_count": 8,
        "eval_duration": 140 * MS,
    }
    words = [each for _ in range(8) for each in ({"message": {"content": "w "}}, 0.02)]
    return {
        "api_version": reply({"version": "0.33.0"}),
        "api_tags": reply({"models": [{"name": "m:latest"}]}),
        "api_ps": reply({"models": [{"name": "m:latest", "context_length": 4096}]}),
        "api_chat": lines([*words, end]),
    }


async def benched(*targets: EndpointTarget) -> tuple[Session, list[BenchEvent]]:
    events: list[BenchEvent] = []
    bench = Bench(PLAN, targets, machine=Machine())
    async with asyncio.timeout(60):
        session = await bench.run(events.append)
    return session, events


def two(here: Endpoint, there: Endpoint) -> tuple[EndpointTarget, EndpointTarget]:
    return EndpointTarget(here.url, key="a"), EndpointTarget(there.url, key="b")


async def test_two_endpoints_take_turns() -> None:
    async with (
        endpoint(v1_models=models("quick"), chat=answering()) as here,
        endpoint(**ollama()) as there,
    ):
        session, events = await benched(*two(here, there))
    assert session.complete
    order = "".join(run.side for run in session.runs if not run.warmup)
    assert order == "aabbaabbaabb"
    assert [len(session.counted(key)) for key in "ab"] == [6, 6]
    assert {side.backend for side in session.sides} == {"openai", "ollama"}
    assert all(run.host.decode_tps for run in session.counted("b"))
    assert isinstance(events[-1], Ended)
    assert set(compare_sides(session)) == {"ttft_ms", "decode_tps", "prefill_tps"}


async def test_an_endpoint_that_dies_leaves_what_was_measured() -> None:
    dead = Reply((delta(content="w"),), headers="Content-Length: 9999\r\n")
    async with (
        endpoint(v1_models=models("m"), chat=answering()) as here,
        endpoint(v1_models=models("m"), chat=[*[answering()] * 3, dead]) as there,
    ):
        session, _ = await benched(*two(here, there))
    assert not session.complete
    assert "failed one after the other" in session.reason
    assert "broke off" in session.reason
    assert len(session.counted("b")) == 2  # and the warm-up
    failed = [run for run in session.runs if run.outcome == "failed"]
    assert len(failed) == 3
    assert all(run.fault and not run.counts for run in failed)
    assert {run.completion_tokens for run in failed} == {None}  # some came, and nobody has counted
    assert len(session.counted("a")) == 4


async def test_an_endpoint_that_was_never_there() -> None:
    async with endpoint(v1_models=models("m"), chat=answering()) as here:
        async with endpoint() as gone:
            pass
        session, _ = await benched(*two(here, gone))
    assert not session.complete
    assert "cannot be reached" in session.reason
    assert len(session.counted("a")) == 2


async def test_one_that_answers_nothing_is_told_and_counts_for_nothing() -> None:
    silent = stream(finish(), usage(20, 0), DONE)
    async with endpoint(v1_models=models("m"), chat=silent) as here:
        session, _ = await benched(EndpointTarget(here.url, key="a"))
    assert {run.outcome for run in session.runs} == {"empty"}
    assert len(session.runs) == RUNS
    assert session.counted() == []


async def test_a_bench_that_is_stopped_hangs_up() -> None:
    async with endpoint(
        v1_models=models("m"), chat=stream(delta(content="w"), asyncio.Event())
    ) as here:
        bench = Bench(PLAN, [EndpointTarget(here.url, key="a")], machine=Machine())
        going = asyncio.create_task(bench.run(lambda _event: None))
        async with asyncio.timeout(20):
            while not here.bodies("/v1/chat/completions"):  # noqa: ASYNC110 - the other task's
                await asyncio.sleep(0.01)
            bench.stop()
            session = await going
            await here.left.wait()
    assert (session.complete, session.reason) == (False, "stopped")
    assert [run.outcome for run in session.runs] == ["aborted"]


# --- before it begins --------------------------------------------------------------------------


async def test_looking_for_it_asks_for_no_answer() -> None:
    async with endpoint(v1_models=models("m"), chat=answering()) as there:
        target = EndpointTarget(there.url)
        await target.check((0,))
        looked = len(there.asked)
        await benched(EndpointTarget(there.url, key="a"))
        assert {each.path for each in there.asked[:looked]} == {"/api/version", "/v1/models"}
        async with target.at_hand(0, lambda *_: None, lambda: None):
            assert [each.path for each in there.asked].count(
                "/v1/models"
            ) == 2  # not looked for anew


async def test_what_is_not_there_is_told_before_it_begins() -> None:
    async with endpoint(v1_models=models("m", "n")) as there:
        with pytest.raises(UsageError, match=r"has no model o\. It has m, n"):
            await EndpointTarget(f"{there.url}#o").check((0,))
        with pytest.raises(UsageError, match="several models"):
            await EndpointTarget(there.url).check((0,))
    with pytest.raises(NetworkUnavailable, match="cannot be reached"):
        await EndpointTarget(there.url).check((0,))


async def test_a_window_that_an_endpoint_lacks_is_told_before_it_begins() -> None:
    listed = reply({"data": [{"id": "m", "max_model_len": 8192}]})
    async with endpoint(v1_models=listed) as there:
        await EndpointTarget(there.url).check((0, 8192))
        with pytest.raises(UsageError, match="one of 8,192 tokens"):
            await EndpointTarget(there.url).check((0, 4096))
    async with endpoint(**ollama()) as there:
        await EndpointTarget(there.url).check((0, 512))  # it loads with any
    ours = {**ollama(), "api_version": reply({"version": "0", "npurun_version": "1"})}
    async with endpoint(**ours) as there:
        with pytest.raises(UsageError, match="one of 4,096 tokens"):
            await EndpointTarget(there.url).check((8192,))
    async with endpoint(**{**ours, "api_ps": reply({"models": []})}) as there:
        await EndpointTarget(there.url).check((8192,))  # its window is known when it is loaded


@pytest.mark.parametrize("turns", [3])
async def test_a_conversation_at_an_endpoint(turns: int) -> None:
    plan = Plan(outputs=(8,), repeats=1, warmups=0, turns=turns, energy=False)
    async with endpoint(v1_models=models("m"), chat=answering(0.001)) as here:
        bench = Bench(plan, [EndpointTarget(here.url, key="a")], machine=Machine())
        session = await bench.run(lambda _event: None)
        bodies = here.bodies("/v1/chat/completions")
    assert session.complete
    assert [run.turn for run in session.runs] == [*range(1, turns + 1)] * 2
    assert [len(body["messages"]) for body in bodies] == [1, 3, 5] * 2
