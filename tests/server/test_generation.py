"""Whole answers through the real engine process, with a model that plays a part: what the engine is told, and what
comes of what it says."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.engine import Engine
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.remote import RemoteDialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.server.asking import (
    Ask,
    Call,
    Done,
    Event,
    Reading,
    Sampling,
    Text,
    Thought,
    ToolChoice,
    Warned,
)
from npurun_tui.server.config import Limits, ServerConfig
from npurun_tui.server.faults import (
    BadRequest,
    Busy,
    ContextLength,
    EngineFault,
    Unsupported,
)
from npurun_tui.server.generation import TIME_UP
from npurun_tui.server.inference import Inference
from npurun_tui.server.pieces import NO_CALL_MADE
from tests.server.conftest import Play
from tests.support.playing_host import Script

PLAIN = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
THINKER = PLAIN + "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}"
ALWAYS_THINKER = PLAIN + "<think>\n{# </think> #}"

CALL = '<tool_call>\n{"name": "clock", "arguments": {"zone": "UTC"}}\n</tool_call>'


def tool(name: str, description: str = "") -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"zone": {"type": "string"}}}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def ask(text: str = "Hi", **more: Any) -> Ask:
    return Ask("played", (ChatMessage("user", text),), **more)


async def events_of(inference: Inference, asked: Ask) -> list[Event]:
    return [event async for event in inference.answer(asked)]


async def outcome(inference: Inference, asked: Ask) -> tuple[str, str, list[Call], Done]:
    """The text, the thought, the calls and the end."""
    events = await events_of(inference, asked)
    done = events[-1]
    assert isinstance(done, Done)
    assert sum(isinstance(event, Done) for event in events) == 1
    return (
        "".join(event.text for event in events if isinstance(event, Text)),
        "".join(event.text for event in events if isinstance(event, Thought)),
        [event for event in events if isinstance(event, Call)],
        done,
    )


# --- ends ---------------------------------------------------------------------------------------


async def test_stop_length_and_the_stop_string_that_did_it(play: Play) -> None:
    stage = await play(Script([("Hi", "One two three four five six.")], PLAIN))
    text, _, _, done = await outcome(stage.inference, ask(stop=("zzz", " four")))
    assert (text, done.reason, done.stop_sequence) == ("One two three", "stop", " four")
    text, _, _, done = await outcome(stage.inference, ask(max_tokens=2))
    assert (text, done.reason, done.stats.completion_tokens) == ("One two ", "length", 2)
    _, _, _, done = await outcome(stage.inference, ask(max_tokens=1 << 40))
    assert done.reason == "stop"
    assert [query["max_tokens"] for query in stage.heard()] == [None, 2, 4095]


async def test_an_answer_has_a_time_limit(play: Play) -> None:
    script = Script([("Hi", "word " * 1000)], PLAIN, pause=0.02)
    stage = await play(script, limits=Limits(generation=0.3))
    text, _, _, done = await outcome(stage.inference, ask())
    assert text.startswith("word ")
    assert (done.reason, done.warnings) == ("length", (TIME_UP,))


async def test_a_crash_keeps_what_came_and_the_next_request_works(play: Play) -> None:
    says = [("Hi", "One two <tool_call>"), ("Yo", "Yes")]
    stage = await play(Script(says, PLAIN, crash_after=3))
    seen: list[Event] = []

    async def read() -> None:
        async for event in stage.inference.answer(ask(tools=(tool("clock"),))):
            seen.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(EngineFault):
        await read()
    assert "".join(event.text for event in seen if isinstance(event, Text)) == "One two <too"
    text, _, _, done = await outcome(stage.inference, ask("Yo"))
    assert (text, done.reason) == ("Yes", "stop")


async def test_too_long_a_prompt_says_by_how_much(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is counted once for that, under the permit that others wait for."""
    counted: list[str] = []
    count = RemoteDialog.tokenize

    async def tokenize(self: RemoteDialog, text: str) -> list[int]:
        counted.append(text)
        return await count(self, text)

    monkeypatch.setattr(RemoteDialog, "tokenize", tokenize)
    monkeypatch.delattr(RemoteDialog, "count_tokens")
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    with pytest.raises(ContextLength) as caught:
        await events_of(stage.inference, ask("Hi " * 8000))
    assert caught.value.window == 4096
    assert caught.value.needed > 6000
    assert len(counted) == 1
    assert stage.engine.status.holder is None


async def test_a_raw_prompt_is_sent_as_it_stands(play: Play) -> None:
    stage = await play(Script([("raw", "<think>not parsed</think>")], PLAIN))
    asked = Ask("played", prompt="raw <s>")
    text, thought, _, _ = await outcome(stage.inference, asked)
    assert (text, thought) == ("<think>not parsed</think>", "")
    assert stage.heard()[0]["prompt"] == "raw <s>"


@pytest.mark.parametrize(
    "messages",
    [(), (ChatMessage("user", " "),), (ChatMessage("user", "Hi"), ChatMessage("assistant", "Yes"))],
)
async def test_nothing_to_answer(play: Play, messages: tuple[ChatMessage, ...]) -> None:
    stage = await play(Script(template=PLAIN))
    with pytest.raises(BadRequest, match="nothing to answer"):
        await events_of(stage.inference, Ask("played", messages))


# --- seeds --------------------------------------------------------------------------------------


async def test_the_same_seed_starts_the_same_stream_each_time(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    for _ in range(2):
        await events_of(stage.inference, ask(sampling=Sampling(seed=-7, temperature=0.5)))
    await events_of(stage.inference, ask(sampling=Sampling(seed=7, temperature=0)))
    first, second, greedy = (query["sampler"] for query in stage.heard())
    assert first == second
    assert first["seed"] >= 0
    assert greedy["seed"] is None


# --- thoughts -----------------------------------------------------------------------------------


async def test_thoughts_are_told_apart_or_left_out(play: Play) -> None:
    stage = await play(Script([("<think>", "Hm.\n</think>\n\nYes."), ("Hi", "No.")], THINKER))
    assert (await outcome(stage.inference, ask()))[:2] == ("Yes.", "Hm.")
    assert (await outcome(stage.inference, ask(think=True)))[:2] == ("Yes.", "Hm.")
    assert (await outcome(stage.inference, ask(think=False)))[:2] == ("No.", "")


async def test_a_thought_that_cannot_be_switched_off_is_hidden(play: Play) -> None:
    stage = await play(Script([("Hi", "Hm.\n</think>\n\nYes.")], ALWAYS_THINKER))
    assert (await outcome(stage.inference, ask(think=False)))[:2] == ("Yes.", "")


# --- schemas ------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


async def test_a_schema_becomes_a_constraint_and_switches_the_thought_off(play: Play) -> None:
    script = Script([("<think>", "wrong"), ("Hi", '{"a": 1}')], THINKER, constrains=True)
    stage = await play(script)
    text, _, _, done = await outcome(stage.inference, ask(schema=SCHEMA))
    assert (text, done.reason) == ('{"a": 1}', "stop")
    assert stage.heard()[0]["constraint"]["json_schema"] == SCHEMA
    await events_of(stage.inference, ask())
    assert stage.heard()[1]["constraint"] is None


@pytest.mark.parametrize(("template", "think"), [(THINKER, True), (ALWAYS_THINKER, None)])
async def test_with_a_schema_and_a_thought_only_the_answer_is_constrained(
    play: Play, template: str, think: bool | None
) -> None:
    says = [("</think>", '{"a": 1}'), ("Hi", "Hm, one.\n</think>never said")]
    stage = await play(Script(says, template, constrains=True))
    asked = ask(schema=SCHEMA, think=think, stop=("}x",), max_tokens=100)
    text, thought, _, done = await outcome(stage.inference, asked)
    assert (text, thought, done.reason) == ('{"a": 1}', "Hm, one.", "stop")
    first, second = stage.heard()
    assert (first["constraint"], first["stop"]) == (None, ["</think>"])
    assert second["constraint"]["json_schema"] == SCHEMA
    assert second["prompt"] == first["prompt"] + "Hm, one.\n</think>\n\n"
    assert done.stats.completion_tokens == 3 + 2
    assert second["max_tokens"] == 97


async def test_a_thought_that_fills_the_limit_ends_the_answer(play: Play) -> None:
    says = [("</think>", '{"a": 1}'), ("Hi", "Hm, a very long thought it is.")]
    stage = await play(Script(says, ALWAYS_THINKER, constrains=True))
    text, thought, _, done = await outcome(stage.inference, ask(schema=SCHEMA, max_tokens=3))
    assert (text, thought, done.reason) == ("", "Hm, a very l", "length")


async def test_an_engine_that_cannot_constrain_says_so(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    with pytest.raises(Unsupported, match=r"NPU \(played\)"):
        await events_of(stage.inference, ask(schema=SCHEMA))


# --- tools --------------------------------------------------------------------------------------


async def test_a_call_is_told_with_the_text_before_it(play: Play) -> None:
    stage = await play(Script([("Hi", f"Let me look.\n{CALL}")], PLAIN))
    text, _, calls, done = await outcome(stage.inference, ask(tools=(tool("clock"),)))
    assert text == "Let me look."
    assert [(each.index, each.call.name, each.call.arguments) for each in calls] == [
        (0, "clock", {"zone": "UTC"})
    ]
    assert done.reason == "tool_calls"
    assert '"clock"' in stage.heard()[0]["prompt"]


async def test_without_tools_nothing_is_a_call(play: Play) -> None:
    stage = await play(Script([("Hi", CALL)], PLAIN))
    none = ToolChoice("none")
    for asked in (ask(), ask(tools=(tool("clock"),), tool_choice=none)):
        text, _, calls, done = await outcome(stage.inference, asked)
        assert (text, calls, done.reason) == (CALL, [], "stop")
    assert not any("clock" in query["prompt"] for query in stage.heard())


async def test_calls_after_the_first_are_not_waited_for(play: Play) -> None:
    stage = await play(Script([("Hi", f"{CALL}\n" * 200)], PLAIN, pause=0.005))
    asked = ask(tools=(tool("clock"),), parallel_tool_calls=False)
    _, _, calls, done = await outcome(stage.inference, asked)
    assert (len(calls), done.reason) == (1, "tool_calls")
    assert done.stats.completion_tokens < 200
    _, _, calls, _ = await outcome(stage.inference, ask(tools=(tool("clock"),), max_tokens=100))
    assert len(calls) > 1
    assert [each.index for each in calls] == list(range(len(calls)))


async def test_a_needed_call_is_enforced_where_the_engine_can(play: Play) -> None:
    answer = '{"name": "clock", "arguments": {}}'
    stage = await play(Script([("Hi", answer)], PLAIN, constrains=True))
    tools = (tool("clock"), tool("other"))
    _, _, calls, done = await outcome(
        stage.inference, ask(tools=tools, tool_choice=ToolChoice("required"))
    )
    assert (len(calls), done.reason, done.warnings) == (1, "tool_calls", ())
    schema = stage.heard()[0]["constraint"]["json_schema"]
    names = [each["properties"]["name"]["const"] for each in schema["anyOf"]]
    assert names == ["clock", "other"]
    await outcome(stage.inference, ask(tools=tools, tool_choice=ToolChoice(name="other")))
    named = stage.heard()[1]
    assert named["constraint"]["json_schema"]["properties"]["name"]["const"] == "other"
    assert "clock" not in named["prompt"]


async def test_a_needed_call_is_asked_for_and_checked_elsewhere(play: Play) -> None:
    stage = await play(Script([("Call the function clock now", CALL), ("Hi", "No.")], PLAIN))
    chosen = ToolChoice("required", "clock")
    _, _, calls, done = await outcome(
        stage.inference, ask(tools=(tool("clock"),), tool_choice=chosen)
    )
    assert (len(calls), done.warnings) == (1, ())
    required = ask(tools=(tool("clock"),), tool_choice=ToolChoice("required"))
    text, _, _, done = await outcome(stage.inference, required)
    assert (text, done.reason, done.warnings) == ("No.", "stop", (NO_CALL_MADE,))


async def test_a_choice_of_no_tool_is_refused(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    for asked in (
        ask(tool_choice=ToolChoice("required")),
        ask(tools=(tool("clock"),), tool_choice=ToolChoice("required", "none such")),
    ):
        with pytest.raises(BadRequest):
            await events_of(stage.inference, asked)


# --- the budget ---------------------------------------------------------------------------------

MANY = tuple(
    tool(f"tool_{n}", "It does something of which there is much to say. " * 20) for n in range(28)
)


async def test_tools_that_do_not_fit_are_dropped_with_a_warning(play: Play) -> None:
    stage = await play(Script([("Hi", CALL)], PLAIN))
    text, _, calls, done = await outcome(stage.inference, ask(tools=MANY))
    assert (text, calls) == (CALL, [])
    assert "28 tools did not fit" in done.warnings[0]
    assert "tool_1" not in stage.heard()[0]["prompt"]
    events = await events_of(stage.inference, ask(tools=MANY))
    warned = [index for index, event in enumerate(events) if isinstance(event, Warned)]
    assert [events[index] for index in warned] == [Warned(done.warnings)]
    assert not any(isinstance(event, Reading | Text) for event in events[: warned[0]]), "in time"
    needed = ask(tools=MANY, tool_choice=ToolChoice("required"))
    with pytest.raises(ContextLength):
        await events_of(stage.inference, needed)


async def test_strict_refuses_and_ignore_ignores(play: Play) -> None:
    strict = await play(Script([("Hi", CALL)], PLAIN), tools="strict")
    with pytest.raises(ContextLength) as caught:
        await events_of(strict.inference, ask(tools=MANY))
    assert caught.value.needed > 4096
    assert (await outcome(strict.inference, ask(tools=(tool("clock"),))))[2]
    ignore = await play(Script([("Hi", CALL)], PLAIN), tools="ignore")
    text, _, calls, done = await outcome(ignore.inference, ask(tools=(tool("clock"),)))
    assert (text, calls, len(done.warnings)) == (CALL, [], 1)
    needed = ask(tools=(tool("clock"),), tool_choice=ToolChoice("required"))
    with pytest.raises(Unsupported):
        await events_of(ignore.inference, needed)


async def test_a_schema_outlives_tools_that_do_not_fit(play: Play) -> None:
    stage = await play(Script([("Hi", '{"a": 1}')], PLAIN, constrains=True))
    text, _, calls, _ = await outcome(stage.inference, ask(tools=MANY, schema=SCHEMA))
    assert (text, calls) == ('{"a": 1}', [])
    assert stage.heard()[0]["constraint"]["json_schema"] == SCHEMA


async def test_the_oldest_messages_go_where_that_is_wanted(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    talk = [ChatMessage("system", "Be brief.")]
    for number in range(40):
        talk.append(ChatMessage("user", f"Q{number} " + "word " * 80))
        talk.append(ChatMessage("assistant", f"A{number}"))
    talk.append(ChatMessage("user", "Hi"))
    with pytest.raises(ContextLength):
        await events_of(stage.inference, Ask("other", tuple(talk)))
    text, _, _, done = await outcome(stage.inference, Ask("other", tuple(talk), truncate=True))
    prompt = stage.heard()[-1]["prompt"]
    assert text == "Yes"
    assert "left out" in done.warnings[0]
    assert prompt.startswith("[system]Be brief.[user]Q3")
    assert prompt.endswith("[user]Hi[assistant]")
    assert len(prompt) // 4 < 1024 - 256
    assert len(prompt) // 4 > 1024 - 256 - 250, "no more is dropped than has to be"
    last = Ask("other", (ChatMessage("user", "Hi " * 3000),), truncate=True)
    with pytest.raises(ContextLength):
        await events_of(stage.inference, last)


# --- the line and the stay ----------------------------------------------------------------------


async def test_the_wait_has_an_end(play: Play) -> None:
    stage = await play(Script([("Hi", "word " * 1000)], PLAIN, pause=0.01), queue_timeout=0.2)
    first = stage.inference.answer(ask())
    await anext(first)
    with pytest.raises(Busy, match="was busy for"):
        await events_of(stage.inference, ask())
    await first.aclose()
    assert stage.engine.status.waiting == ()


async def test_a_model_that_is_being_unloaded_is_nobody_s_request(play: Play) -> None:
    """Without a waiting line, a request after one with `keep_alive` 0 is not refused for the server's own doing."""
    stage = await play(Script([("Hi", "Yes")], PLAIN), max_queue=0)
    for _ in range(4):
        assert (await outcome(stage.inference, ask(keep_alive=0)))[0] == "Yes"


async def test_at_the_last_event_the_permit_is_free(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN), max_queue=0)
    answer = stage.inference.answer(ask())
    async for event in answer:
        if isinstance(event, Done):
            assert stage.engine.status.holder is None
            assert (await outcome(stage.inference, ask()))[0] == "Yes"


async def test_leaving_the_line_leaves_no_trace(play: Play) -> None:
    stage = await play(Script([("Hi", "word " * 1000)], PLAIN, pause=0.01))
    first = stage.inference.answer(ask())
    await anext(first)
    waiting = [asyncio.create_task(events_of(stage.inference, ask())) for _ in range(3)]
    async with asyncio.timeout(5):
        while len(stage.engine.status.waiting) < 3:  # noqa: ASYNC110 - the engine lives in another thread
            await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert stage.engine.status.waiting == ()
    began = time.perf_counter()
    await first.aclose()
    assert stage.engine.status.holder is None
    assert time.perf_counter() - began < 0.5


async def test_embeddings_of_a_model_that_makes_them(play: Play) -> None:
    stage = await play(Script(template=PLAIN, embeds=True))
    found = await stage.inference.embed("played", ("one", "two"), truncate=True, keep_alive=None)
    assert found.vectors == ((1.0, 0.0), (1.0, 0.0))
    assert (found.prompt_tokens, found.load_ms > 0, found.total_ms > 0) == (2, True, True)
    with pytest.raises(Unsupported, match="gives no answers"):
        await events_of(stage.inference, ask())
    with pytest.raises(ContextLength):
        await stage.inference.embed("played", ("x" * 99999,), truncate=False, keep_alive=None)
    with pytest.raises(BadRequest):
        await stage.inference.embed("played", ("",), truncate=True, keep_alive=None)


async def test_embeddings_of_a_model_that_makes_none(play: Play) -> None:
    stage = await play(Script([("Hi", "Yes")], PLAIN))
    with pytest.raises(Unsupported, match="makes no embeddings"):
        await stage.inference.embed("played", ("one",), truncate=True, keep_alive=None)


async def test_clients_that_come_and_go_leave_nothing_behind(play: Play) -> None:
    """Requests that end whenever: in the line, while loading, in mid-answer, or by themselves."""
    stage = await play(Script([("Hi", "word " * 60)], PLAIN, pause=0.002), max_queue=5)
    chance = random.Random(5)  # noqa: S311 - the same each time

    async def client(number: int) -> str:
        await asyncio.sleep(chance.random() * 3)
        asked = replace(
            ask(tools=(tool("clock"),)), model=chance.choice(["played"] * 9 + ["other"])
        )
        try:
            async with asyncio.timeout(chance.choice([0.01, 0.1, 0.5, 30])):
                return (await outcome(stage.inference, asked))[0]
        except (TimeoutError, Busy):
            return ""

    texts = await asyncio.gather(*(client(number) for number in range(80)))
    assert {text for text in texts if text} == {"word " * 60}
    assert (stage.engine.status.holder, stage.engine.status.waiting) == (None, ())
    assert len(asyncio.all_tasks()) == 1
    assert (await outcome(stage.inference, ask()))[3].reason == "stop"


async def test_one_loop_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    command = Script([("Hi", f"Look.\n{CALL}")], PLAIN).command(path)
    engine = Engine(log=tmp_path / "engine.log", command=command)
    inference = Inference(
        engine,
        asyncio.get_running_loop(),
        spec_of=lambda name: ModelSpec(name, "genie", tmp_path),
        installed=lambda: ["played"],
        config=ServerConfig(),
    )
    try:
        asked = Ask("", (ChatMessage("user", "Hi"),), tools=(tool("clock"),))
        answers = await asyncio.gather(*(outcome(inference, asked) for _ in range(3)))
        assert [(text, len(calls)) for text, _, calls, _ in answers] == [("Look.", 1)] * 3
        leaving = inference.answer(asked)
        await anext(leaving)
        await leaving.aclose()
        assert engine.status.holder is None
    finally:
        await inference.aclose()
        await engine.aclose()
