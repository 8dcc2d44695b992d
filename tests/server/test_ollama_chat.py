"""`/api/chat` and `/api/generate` to the letter: lines, objects, refusals, loading and unloading."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.messages import ChatMessage, ToolCall
from npurun_tui.errors import ContextOverflow, EngineCrashed, EngineLoadFailed
from npurun_tui.models.store import ModelStore
from npurun_tui.server.asking import Event, Loading, Queued, Reading, Sampling, Text, Warned
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.faults import Busy, ContextLength, UnknownModel
from npurun_tui.server.tokens import hash_token
from tests.server.ollama_site import TOOLS_TEMPLATE, Site, add_model, site
from tests.server.scripted import CALLING, HELLO, THINKING, done

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
USER = [{"role": "user", "content": "Hi"}]
PATHS = ("/api/chat", "/api/generate")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path)
    add_model(store, "able", template=TOOLS_TEMPLATE)
    add_model(store, "plain", template="{{ messages }}")
    add_model(store, "vectors", architecture="nomic-bert")
    return tmp_path


@pytest.fixture
async def here(root: Path) -> AsyncIterator[Site]:
    async with site(root) as running:
        yield running


def body(path: str, **more: Any) -> dict[str, Any]:
    """A question in the form of either route."""
    question = {"messages": USER} if path == "/api/chat" else {"prompt": "Hi"}
    return {"model": "able", **question, **more}


async def test_a_chat_is_streamed_as_ollama_streams_it(here: Site) -> None:
    lines = await here.lines("/api/chat", {"model": "able:latest", "messages": USER})
    assert [list(line) for line in lines[:-1]] == [["model", "created_at", "message", "done"]] * 2
    assert {line["model"] for line in lines} == {"able:latest"}
    assert all(STAMP.fullmatch(line["created_at"]) for line in lines)
    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": "Hel"},
        {"role": "assistant", "content": "lo, wörld 🎉"},
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in lines] == [False, False, True]
    last = lines[-1]
    assert list(last)[:5] == ["model", "created_at", "message", "done", "done_reason"]
    assert last["done_reason"] == "stop"
    # 20 tokens were read at 500 a second, 5 written at 100 a second.
    assert last["prompt_eval_count"] == 30
    assert last["prompt_eval_duration"] == 40_000_000
    assert (last["eval_count"], last["eval_duration"]) == (5, 50_000_000)
    assert (last["total_duration"], last["cached_tokens"]) == (80_000_000, 10)
    assert "load_duration" not in last  # zero values are absent
    assert (last["timings"]["cache_n"], last["timings"]["predicted_per_second"]) == (10, 100.0)
    record = await here.recorder.last(1)
    assert (record.dialect, record.model, record.stream) == ("ollama", "able:latest", True)
    assert (record.status, record.completion_tokens, record.outcome) == (200, 5, "stop")


async def test_a_prompt_is_streamed_as_ollama_streams_it(here: Site) -> None:
    lines = await here.lines("/api/generate", {"model": "able", "prompt": "Hi", "system": "Be."})
    assert [line["response"] for line in lines] == ["Hel", "lo, wörld 🎉", ""]
    assert list(lines[0]) == ["model", "created_at", "response", "done"]
    assert lines[-1]["done_reason"] == "stop"
    assert here.answerer.asks[-1].messages == (
        ChatMessage("system", "Be."),
        ChatMessage("user", "Hi"),
    )


async def test_a_blocking_answer_is_one_object(here: Site) -> None:
    for path in PATHS:
        response = await here.post(path, body(path, stream=False))
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        answer = response.json()
        said = answer["message"]["content"] if path == "/api/chat" else answer["response"]
        assert (said, answer["done"], answer["done_reason"]) == ("Hello, wörld 🎉", True, "stop")
        assert answer["eval_count"] == 5


async def test_calls_come_whole_with_arguments_as_an_object(root: Path) -> None:
    async with site(root, CALLING) as here:
        tools = [{"type": "function", "function": {"name": "weather", "parameters": None}}]
        lines = await here.lines("/api/chat", body("/api/chat", tools=tools))
        calls = [call for line in lines for call in line["message"].get("tool_calls", ())]
        assert [call["function"] for call in calls] == [
            {"index": 0, "name": "weather", "arguments": {"city": "Köln"}},
            {"index": 1, "name": "time", "arguments": {"zone": "UTC"}},
        ]
        assert all(call["id"] for call in calls)
        assert lines[-1]["done_reason"] == "stop"
        whole = (await here.post("/api/chat", body("/api/chat", stream=False))).json()
        assert [call["function"]["index"] for call in whole["message"]["tool_calls"]] == [0, 1]
        assert whole["message"]["content"] == ""
        asked = here.answerer.asks[0].tools[0]["function"]
        assert asked["parameters"] == {"type": "object", "properties": {}}


async def test_thoughts_have_a_field_of_their_own(root: Path) -> None:
    async with site(root, THINKING) as here:
        lines = await here.lines("/api/chat", body("/api/chat", think=True))
        assert [line["message"].get("thinking") for line in lines] == ["Hm", "…", None, None]
        lines = await here.lines("/api/generate", body("/api/generate", think="low"))
        assert [line.get("thinking") for line in lines] == ["Hm", "…", None, None]
        whole = (await here.post("/api/generate", body("/api/generate", stream=False))).json()
        assert (whole["thinking"], whole["response"]) == ("Hm…", "42")
        assert [ask.think for ask in here.answerer.asks] == [True, True, None]


async def test_nothing_is_sent_before_the_first_piece(root: Path) -> None:
    script = (Queued(2), Loading("able"), Reading(0, 5), Text("Hi"), done("length", load_ms=3.0))
    async with site(root, script) as here:
        lines = await here.lines("/api/chat", body("/api/chat"))
        assert len(lines) == 2
        assert (lines[-1]["done_reason"], lines[-1]["load_duration"]) == ("length", 3_000_000)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Busy("server busy"), 429, "server busy"),
        (
            ContextLength("too long", needed=9, window=5),
            400,
            "the input length exceeds the context length (9 tokens, of 5)",
        ),
        (ContextOverflow("too long"), 400, "the input length exceeds the context length"),
        (UnknownModel("It went meanwhile."), 404, "model 'able' not found"),
        (EngineLoadFailed("The model was not loaded."), 500, "The model was not loaded."),
    ],
)
async def test_what_fails_before_the_first_byte_has_its_status(
    root: Path, error: Exception, status: int, text: str
) -> None:
    async with site(root, (Queued(1), error)) as here:
        for path in PATHS:
            for stream in (True, False):
                response = await here.post(path, body(path, stream=stream))
                assert (response.status_code, response.json()) == (status, {"error": text})
                assert response.headers["content-type"].startswith("application/json")
                if status == 429:
                    assert response.headers["retry-after"] == "1"


async def test_what_fails_later_is_the_last_line(root: Path) -> None:
    async with site(root, (Text("Hel"), EngineCrashed("The engine process died."))) as here:
        lines = await here.lines("/api/chat", body("/api/chat"))
        assert lines[-1] == {"error": "The engine process died."}
        assert (await here.recorder.last(1)).outcome == "The engine process died."


@pytest.mark.parametrize("how", ["aborted", "unforeseen"])
async def test_a_stream_that_is_broken_off_says_so_and_ends_whole(root: Path, how: str) -> None:
    said = asyncio.Event()

    async def go_on() -> None:
        said.set()
        if how == "unforeseen":
            raise RuntimeError("nobody foresaw it")
        await asyncio.Event().wait()

    async with site(root, (Text("Hel"), go_on)) as here:
        asking = asyncio.create_task(here.lines("/api/chat", body("/api/chat")))
        await asyncio.wait_for(said.wait(), 10)
        if how == "aborted":
            (record,) = here.recorder.open
            assert record.cancel is not None
            record.cancel()
        lines = await asyncio.wait_for(asking, 10)
        assert lines[0]["message"]["content"] == "Hel"
        assert list(lines[-1]) == ["error"]


@pytest.mark.parametrize("pieces", [[Text("x")], []])
async def test_a_warning_that_is_known_before_a_streams_first_line_is_in_its_header(
    root: Path, pieces: list[Text]
) -> None:
    early = ("The conversation did not fit the context window: 2 old messages left out.",)
    late = ("The answer took longer than this server allows.",) if pieces else ()
    steps: list[Event] = [Queued(2), Warned(early), *pieces, done(warnings=early + late)]
    async with site(root, steps) as here:
        response = await here.post("/api/chat", body("/api/chat"))
    assert response.headers["x-npurun-warning"] == "messages-dropped"
    assert json.loads(response.text.splitlines()[-1])["warnings"] == [*early, *late]


async def test_warnings_are_told(root: Path) -> None:
    ending = done(warnings=("The tools were dropped: they do not fit.",))
    async with site(root, (Text("Hi"), ending)) as here:
        response = await here.post("/api/chat", body("/api/chat", stream=False))
        assert response.headers["x-npurun-warning"] == "tools-dropped"
        assert response.json()["warnings"] == ["The tools were dropped: they do not fit."]


async def test_tools_that_are_no_functions_are_left_out_and_that_is_told(here: Site) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]
    response = await here.post("/api/chat", body("/api/chat", tools=tools, stream=False))
    assert [tool["function"]["name"] for tool in here.answerer.asks[-1].tools] == ["f"]
    assert response.headers["x-npurun-warning"] == "tools-dropped"
    assert response.json()["warnings"] == ["A tool of a type that is not a function was left out."]


# --- loading and unloading ---------------------------------------------------------------------


@pytest.mark.parametrize("stream", [None, True, False])
async def test_without_a_question_the_model_is_loaded_or_unloaded(
    here: Site, stream: bool | None
) -> None:
    for path in PATHS:
        empty: dict[str, Any] = {"messages": []} if path == "/api/chat" else {"prompt": ""}
        loaded = (await here.post(path, {"model": "able", "stream": stream, **empty})).json()
        gone = (await here.post(path, {"model": "able", "keep_alive": 0})).json()
        for answer, reason in ((loaded, "load"), (gone, "unload")):
            said: dict[str, Any] = {"message": {"role": "assistant", "content": ""}}
            said = said if path == "/api/chat" else {"response": ""}
            assert answer.pop("created_at")
            assert answer == {"model": "able", **said, "done": True, "done_reason": reason}
    assert here.answerer.stays[:2] == [("load", "able", None), ("unload", "able", 0)]
    assert here.answerer.asks == []


async def test_unloading_is_an_admins(root: Path) -> None:
    config = ServerConfig(infer_token=hash_token("ask"), admin_token=hash_token("rule"))
    async with site(root, config=config) as here:
        empty = {"model": "able", "keep_alive": 0}
        for path in PATHS:
            for token, status in (("ask", 403), ("rule", 200)):
                headers = {"Authorization": f"Bearer {token}"}
                assert (await here.post(path, empty, headers=headers)).status_code == status
                question = body(path, keep_alive=0, stream=False)
                assert (await here.post(path, question, headers=headers)).status_code == 200
        assert here.answerer.stays == [("unload", "able", 0)] * 2


@pytest.mark.parametrize("infer", [b"", hash_token("ask")])
async def test_without_an_admin_token_whoever_may_ask_may_unload(root: Path, infer: bytes) -> None:
    async with site(root, config=ServerConfig(infer_token=infer)) as here:
        headers = {"Authorization": "Bearer ask"}
        answer = await here.post("/api/chat", {"model": "able", "keep_alive": 0}, headers=headers)
        assert answer.json()["done_reason"] == "unload"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1800, 1800.0),
        (0.5, 0.5),
        (-1, -1.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("-1m", -1.0),
        ("1.5s", 1.5),
        ("24h", 86400.0),
        ("500ms", 0.5),
        (None, None),
    ],
)
async def test_keep_alive_is_a_number_or_a_go_duration(
    here: Site, value: Any, seconds: float | None
) -> None:
    for path in PATHS:
        await here.post(path, body(path, keep_alive=value))
    assert [ask.keep_alive for ask in here.answerer.asks] == [seconds, seconds]
    await here.post("/api/generate", {"model": "able", "keep_alive": value})
    assert here.answerer.stays == [("load", "able", seconds)]


@pytest.mark.parametrize(
    "value", ["soon", "5 m", "m", "1x", "", "--1m", "--1", "nan", "inf", "1_0", True, [1], {}]
)
async def test_a_wrong_keep_alive_is_refused(here: Site, value: Any) -> None:
    for path in PATHS:
        response = await here.post(path, body(path, keep_alive=value))
        assert response.status_code == 400
        assert "keep_alive" in response.json()["error"]


# --- what is asked -----------------------------------------------------------------------------


async def test_options_reach_the_inference(here: Site) -> None:
    options = {
        "temperature": 0,
        "top_k": 40.0,
        "top_p": 0.9,
        "min_p": 0.05,
        "seed": 7,
        "repeat_penalty": 1.1,
        "repeat_last_n": -1,
        "presence_penalty": 0.5,
        "frequency_penalty": 1,
        "num_predict": -2,
        "stop": ["END", ""],
        "num_ctx": 131_072,
        "num_gpu": "all",
        "mirostat": None,
        "nobody_knows": [1],
    }
    for path in PATHS:
        await here.post(path, body(path, options=options))
    for ask in here.answerer.asks:
        assert ask.sampling == Sampling(0.0, 0.9, 40, 0.05, 7, 1.1, -1, 0.5, 1.0)
        assert (ask.max_tokens, ask.stop, ask.truncate) == (-2, ("END",), True)


async def test_nulls_and_unknown_fields_are_no_wishes(here: Site) -> None:
    """LlamaIndex sends null options, ollama-python empty tools, everybody something else."""
    for path in PATHS:
        nothing = dict.fromkeys(("format", "keep_alive", "think", "truncate", "system", "raw"))
        extra = {"options": {"temperature": None, "stop": None}, "tools": [], "x": {"y": 1}}
        response = await here.post(path, body(path, **nothing, **extra))
        assert response.status_code == 200
        empty = await here.post(path, body(path, options=None, format="", images=None))
        assert empty.status_code == 200
    assert {ask.sampling for ask in here.answerer.asks} == {Sampling()}
    assert {ask.tools for ask in here.answerer.asks} == {()}
    assert {ask.schema is None for ask in here.answerer.asks} == {True}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"temperature": True}, 'option "temperature" must be of type float32'),
        ({"num_predict": "10"}, 'option "num_predict" must be of type integer'),
        ({"seed": [1]}, 'option "seed" must be of type integer'),
        ({"stop": "END"}, 'option "stop" must be of type array'),
        ({"stop": ["a", 1]}, 'option "stop" must be of type an array of strings'),
    ],
)
async def test_an_option_of_the_wrong_type_is_named(
    here: Site, options: dict[str, Any], text: str
) -> None:
    for path in PATHS:
        response = await here.post(path, body(path, options=options))
        assert (response.status_code, response.json()) == (400, {"error": text})


async def test_formats(here: Site) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for given in ("json", schema, {}, ""):
        await here.post("/api/chat", body("/api/chat", format=given))
    wanted = [{"type": "object"}, schema, {"type": "object"}, None]
    assert [ask.schema for ask in here.answerer.asks] == wanted
    response = await here.post("/api/generate", body("/api/generate", format="xml"))
    assert response.status_code == 400
    assert response.json()["error"].startswith("invalid format: 'xml'")


async def test_the_body_needs_no_content_type(here: Site) -> None:
    """LiteLLM sends none, `curl -d` sends a form's."""
    text = b'{"model":"able","prompt":"Hi","stream":false}'
    for headers in ({}, {"content-type": "application/x-www-form-urlencoded"}):
        response = await here.http.post("/api/generate", content=text, headers=headers)
        assert response.status_code == 200
    for content in (b"", b"  "):
        response = await here.http.post("/api/generate", content=content)
        assert (response.status_code, response.json()) == (400, {"error": "missing request body"})
    assert (await here.http.post("/api/chat", content=b"{")).status_code == 400


async def test_a_whole_conversation(here: Site) -> None:
    messages = [
        {"role": "SYSTEM", "content": "Be brief."},
        {"role": "User", "content": [{"type": "text", "text": "Wea"}, {"text": "ther?"}]},
        {
            "role": "assistant",
            "content": None,
            "thinking": "a tool",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Köln"}}},
                {"id": "c2", "function": {"name": "time", "arguments": '{"zone": "UTC"}'}},
                {"function": {"name": "none", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_name": "weather", "content": "rain"},
        {"role": "tool", "name": "time", "tool_call_id": "c2", "content": "noon"},
    ]
    response = await here.post("/api/chat", {"model": "able", "messages": messages})
    assert response.status_code == 200
    assert here.answerer.asks[-1].messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "Weather?"),
        ChatMessage(
            "assistant",
            "",
            thinking="a tool",
            tool_calls=(
                ToolCall("weather", {"city": "Köln"}),
                ToolCall("time", {"zone": "UTC"}, "c2"),
                ToolCall("none", {}),
            ),
        ),
        ChatMessage("tool", "rain", tool_name="weather"),
        ChatMessage("tool", "noon", tool_name="time", tool_call_id="c2"),
    )


async def test_raw_prompts_pass_by_the_template(here: Site) -> None:
    await here.post("/api/generate", body("/api/generate", raw=True, truncate=False))
    ask = here.answerer.asks[-1]
    assert (ask.prompt, ask.messages, ask.truncate) == ("Hi", (), False)
    for more in ({"system": "x"}, {"template": "x"}, {"context": [1]}):
        response = await here.post("/api/generate", body("/api/generate", raw=True, **more))
        text = "raw mode does not support template, system, or context"
        assert (response.status_code, response.json()) == (400, {"error": text})
    response = await here.post("/api/generate", body("/api/generate", context=[1, 2]))
    assert response.status_code == 200  # deprecated, and ignored without raw


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/api/generate", {"suffix": "}"}, 400, '"able" does not support insert'),
    ("/api/generate", {"images": ["AA=="]}, 400, '"able" does not support vision'),
    ("/api/generate", {"template": "{{ .Prompt }}"}, 400, "does not take a template"),
    ("/api/generate", {"model": "plain", "think": True}, 400, '"plain" does not support thinking'),
    ("/api/generate", {"model": "vectors"}, 400, '"vectors" does not support generate'),
    ("/api/chat", {"model": "vectors"}, 400, '"vectors" does not support chat'),
    ("/api/chat", {"think": "deep"}, 400, "invalid think value: 'deep'"),
    ("/api/chat", {"model": "plain", "think": "high"}, 400, '"plain" does not support thinking'),
    ("/api/chat", {"logprobs": True}, 400, '"able" does not support logprobs'),
    ("/api/chat", {"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
    ("/api/chat", {"model": ""}, 400, "model is required"),
    ("/api/chat", {"model": "../x"}, 400, "invalid model name"),
    ("/api/chat", {"model": "x\x1b[2J"}, 400, "invalid model name"),
    ("/api/chat", {"model": "absent"}, 404, "model 'absent' not found"),
    ("/api/chat", {"model": "able:q8"}, 404, "model 'able:q8' not found"),
    ("/api/chat", {"model": "hf.co/a/B:Q4"}, 404, "model 'hf.co/a/B:Q4' not found"),
    ("/api/chat", {"messages": [{"role": "robot", "content": "x"}]}, 400, "invalid role: 'robot'"),
    ("/api/chat", {"messages": [{"role": "system", "content": "x"}]}, 400, "no user message"),
    ("/api/chat", {"messages": [{"role": "user", "images": ["AA=="]}]}, 400, "support vision"),
    (
        "/api/chat",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        400,
        "support vision",
    ),
    ("/api/chat", {"messages": [{"role": "user"}] * 2001}, 400, "at most 2000 messages"),
    ("/api/chat", {"tools": [{"function": {"name": "x"}}] * 257}, 400, "at most 256 tools"),
    ("/api/chat", {"tools": [{"type": "function"}]}, 400, "a tool has no function name"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more", "status", "text"), REFUSED)
async def test_refusals(
    here: Site, path: str, more: dict[str, Any], status: int, text: str
) -> None:
    response = await here.post(path, body(path, **more))
    assert response.status_code == status
    assert text in response.json()["error"]
    assert here.answerer.asks == []


async def test_a_call_must_be_one(here: Site) -> None:
    for function, text in (
        ({"name": "", "arguments": {}}, "no function name"),
        ({"name": "f", "arguments": "[1]"}, "not a JSON object"),
        ({"name": "f", "arguments": "{"}, "not a JSON object"),
    ):
        message = {"role": "assistant", "tool_calls": [{"function": function}]}
        response = await here.post("/api/chat", {"model": "able", "messages": [message, *USER]})
        assert response.status_code == 400
        assert text in response.json()["error"]


async def test_without_a_model_the_only_one_answers(tmp_path: Path) -> None:
    """As in the Rust program, where the field is optional; with several it has to be given."""
    add_model(ModelStore(tmp_path), "only")
    async with site(tmp_path, HELLO) as here:
        lines = await here.lines("/api/generate", {"prompt": "Hi"})
        assert lines[0]["model"] == "only"
        add_model(here.store, "second")
        response = await here.post("/api/generate", {"prompt": "Hi"})
        assert (response.status_code, response.json()) == (400, {"error": "model is required"})


async def test_with_no_model_at_all_that_is_said(tmp_path: Path) -> None:
    async with site(tmp_path, HELLO) as here:
        response = await here.post("/api/generate", {"prompt": "Hi"})
        assert response.status_code == 503
        assert response.json()["error"].startswith("No model is installed.")


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_ends_the_answer(root: Path, stream: bool) -> None:
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.sleep(60)

    for script in ((wait, done()), (Text("Hel"), wait, done())):
        async with site(root, script) as here:
            waiting.clear()
            task = asyncio.create_task(here.post("/api/chat", body("/api/chat", stream=stream)))
            async with asyncio.timeout(10):
                await waiting.wait()
                task.cancel()
                await asyncio.wait({task})
                await here.answerer.closed.wait()
            assert here.answerer.running == 0
