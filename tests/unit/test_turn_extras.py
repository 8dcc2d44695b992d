"""Turns with tools, raw prompts, constraints and stop sequences, over a real engine process; the model is noise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import GenieError, Sampler, Status
from npurun_tui.engine.engine import Engine, LoadedModel, Permit
from npurun_tui.engine.messages import ChatMessage, Constraint, PromptExtras, ToolCall
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.transcript import (
    Finished,
    FinishReason,
    Piece,
    Prefill,
    Turn,
    TurnOptions,
    begin_raw_turn,
    begin_turn,
)
from npurun_tui.errors import ContextOverflow, EngineError
from tests.support.tiny_llama import build_tiny_llama

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if enable_thinking %}<think>{% endif %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
GREEDY = Sampler(temperature=0)
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Looks up."}}
YES_OR_NO = Constraint(grammar='root ::= "yes" | "no"')


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[tuple[Permit, LoadedModel]]:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(build_tiny_llama({"tokenizer.chat_template": TEMPLATE}, context=2048))
    engine = Engine(log=tmp_path / "engine.log")
    try:
        async with engine.permit("test") as permit:
            spec = ModelSpec("tiny", "llama.cpp", tmp_path, file)
            yield permit, await permit.load(spec)
    finally:
        await engine.aclose()


async def run(turn: Turn) -> tuple[str, Finished]:
    pieces: list[str] = []

    def hear(event: Prefill | Piece) -> None:
        if isinstance(event, Piece):
            pieces.append(event.text)

    finished = await turn.run(hear)
    return "".join(pieces), finished


async def test_what_is_known_of_a_loaded_model(loaded: tuple[Permit, LoadedModel]) -> None:
    _, model = loaded
    assert model.constrains
    assert not model.embeds
    assert (model.facts.tools, model.facts.thinking) == (False, True)


async def test_a_turn_after_a_tools_result(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    talk = [
        ChatMessage("user", "What is it?"),
        ChatMessage("assistant", "", tool_calls=(ToolCall("look_up", {"word": "it"}, "1"),)),
        ChatMessage("tool", "a pronoun", tool_name="look_up", tool_call_id="1"),
    ]
    extras = PromptExtras(tools=(TOOL,), think=True)
    options = TurnOptions(GREEDY, 3, extras=extras)
    turn = begin_turn(permit, model.context_size, talk, options)
    _, finished = await run(turn)
    prompt = turn.prompt
    assert prompt is not None
    assert prompt.startswith("[system]# Tools")
    assert '<tool_call>{"name": "look_up", "arguments": {"word": "it"}}</tool_call>' in prompt
    assert prompt.endswith("</tool_response><think>[assistant]")
    assert finished.stats.prompt_tokens == await permit.dialog.count_tokens(prompt)


async def test_a_raw_prompt_goes_as_it_stands(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    text, finished = await run(
        begin_raw_turn(permit, model.context_size, "One\0 two", TurnOptions(GREEDY, 6))
    )
    assert finished.stats.prompt_tokens == len("One\ufffd two".encode())
    again, finished = await run(
        begin_raw_turn(permit, model.context_size, "One\0 two", TurnOptions(GREEDY, 6))
    )
    assert again == text
    assert finished.stats.cached_tokens > 0


async def test_what_cannot_be_answered(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    with pytest.raises(EngineError, match="own"):
        begin_turn(permit, 100, [ChatMessage("assistant", "I am done.")], TurnOptions())
    for talk in ([], [ChatMessage("user", "  ")]):
        with pytest.raises(EngineError, match="empty"):
            begin_turn(permit, 100, talk, TurnOptions())
    with pytest.raises(EngineError, match="empty"):
        begin_raw_turn(permit, 100, "", TurnOptions())
    with pytest.raises(ContextOverflow):
        await run(begin_raw_turn(permit, model.context_size, "x" * 3000, TurnOptions()))


async def test_a_constraint_is_this_turns_alone(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    talk = [ChatMessage("user", "Is it?")]
    free = TurnOptions(Sampler(seed=1), 12)
    before, _ = await run(begin_turn(permit, model.context_size, talk, free))
    held = TurnOptions(Sampler(seed=1), 12, constraint=YES_OR_NO)
    text, finished = await run(begin_turn(permit, model.context_size, talk, held))
    assert text in ("yes", "no")
    assert finished.reason is FinishReason.STOP
    after, _ = await run(begin_turn(permit, model.context_size, talk, free))
    assert before not in ("yes", "no")
    assert after not in ("yes", "no")


async def test_even_noise_fits_a_schema(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "size": {"type": "boolean"}},
        "required": ["kind", "size"],
        "additionalProperties": False,
    }
    hot = Sampler(temperature=2.0, top_k=0, top_p=1.0, seed=3)
    options = TurnOptions(hot, 200, constraint=Constraint(json_schema=schema))
    text, _ = await run(begin_raw_turn(permit, model.context_size, "Say it: ", options))
    found = json.loads(text)
    assert found["kind"] in ("a", "b")
    assert isinstance(found["size"], bool)


async def test_a_format_that_nobody_knows_is_a_note(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    properties = {
        "format": {"type": "string", "format": "uri", "maxLength": 3},
        "kind": {"const": {"format": "uri"}},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["format", "kind"],
        "additionalProperties": False,
    }
    options = TurnOptions(GREEDY, 100, constraint=Constraint(json_schema=schema))
    text, _ = await run(begin_raw_turn(permit, model.context_size, "Say it: ", options))
    found = json.loads(text)
    assert len(found["format"]) <= 3
    assert found["kind"] == {"format": "uri"}


async def test_a_bad_schema_fails_the_turn_and_nothing_else(
    loaded: tuple[Permit, LoadedModel],
) -> None:
    permit, model = loaded
    bad = TurnOptions(GREEDY, 5, constraint=Constraint(json_schema={"type": "nonsense"}))
    with pytest.raises(GenieError, match="nonsense") as caught:
        await run(begin_raw_turn(permit, model.context_size, "Hello", bad))
    assert caught.value.status is Status.ERROR_JSON_SCHEMA
    text, _ = await run(begin_raw_turn(permit, model.context_size, "Hello", TurnOptions(GREEDY, 5)))
    assert text


async def test_which_stop_sequence_ended_a_turn(loaded: tuple[Permit, LoadedModel]) -> None:
    permit, model = loaded
    # What is said is noise, so a grammar has it say something.
    options = TurnOptions(
        GREEDY, 40, stop=("zzz", "lo w"), constraint=Constraint(grammar='root ::= "hello world"')
    )
    text, finished = await run(begin_raw_turn(permit, model.context_size, "Say it: ", options))
    assert text == "hel"
    assert finished.stop_sequence == "lo w"
    assert finished.reason is FinishReason.STOP
