"""`run` as a script uses it: a real child process, the real model, and real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.attach.http import base_url, is_loopback
from npurun_tui.commands.run import Printer, read_prompt
from npurun_tui.errors import UsageError
from tests.support.canned_server import CannedServer

NAME = "smollm2-135m-instruct"
ASK = "Please repeat this word: banana"
GREEDY = ["--temperature", "0", "--max-tokens", "12"]


@pytest.fixture
def env(tmp_path: Path, real_models: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NPURUN_")}
    return {**kept, "NPURUN_TUI_HOME": str(tmp_path), "NPURUN_MODELS_DIR": str(real_models)}


def run(env: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`npurun-tui run …` to its end."""
    command = [sys.executable, "-m", "npurun_tui", "run", *arguments]
    return subprocess.run(
        command, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.model
def test_the_answer_alone_is_on_stdout(env: dict[str, str]) -> None:
    done = run(env, NAME, *GREEDY, ASK)
    assert done.returncode == 0
    assert "banana" in done.stdout.lower()
    assert done.stdout.endswith("\n")
    assert "tok/s" not in done.stdout
    loaded, closing = done.stderr.splitlines()
    assert loaded.startswith(f"[loaded {NAME} on CPU (llama.cpp), context 8,192 in ")
    assert "TTFT" in closing
    assert "tok/s" in closing


@pytest.mark.model
def test_json_has_the_promised_keys(env: dict[str, str]) -> None:
    done = run(env, NAME, *GREEDY, "--json", "--system", "You repeat words.", ASK)
    assert done.returncode == 0
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(document) == ["model", "backend", "text", "finish_reason", "usage", "timings"]
    assert list(document["usage"]) == ["prompt_tokens", "completion_tokens", "cached_tokens"]
    assert list(document["timings"]) == [
        "load_ms",
        "ttft_ms",
        "prefill_tps",
        "decode_tps",
        "total_ms",
    ]
    assert (document["model"], document["backend"]) == (NAME, "llama.cpp")
    assert document["finish_reason"] in ("stop", "length")
    assert 0 < document["usage"]["completion_tokens"] <= 12
    assert document["usage"]["prompt_tokens"] > 10
    assert all(value > 0 for value in document["timings"].values())


@pytest.mark.model
def test_a_seed_repeats_and_a_stop_sequence_never_appears(env: dict[str, str]) -> None:
    flags = [NAME, "--seed", "7", "--max-tokens", "24", "--temperature", "1.1", "--json"]
    first, second = (json.loads(run(env, *flags, "Tell me a story.").stdout) for _ in range(2))
    assert first["text"] == second["text"]
    stop = first["text"][len(first["text"]) // 2 :][:6]
    cut = json.loads(run(env, *flags, "--stop", stop, "Tell me a story.").stdout)
    assert cut["text"] == first["text"].split(stop)[0]
    assert cut["finish_reason"] == "stop"


@pytest.mark.model
def test_a_dash_reads_stdin(env: dict[str, str]) -> None:
    done = run(env, NAME, *GREEDY, "-", stdin=ASK + "\n")
    assert done.returncode == 0
    assert "banana" in done.stdout.lower()


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_leaves_ends_it_quietly(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "npurun_tui", "run", NAME, "Tell me a very long story."]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=20) == 1
    assert len(errors.splitlines()) == 1, errors


@pytest.mark.model
def test_a_locale_without_unicode_ends_nothing(env: dict[str, str]) -> None:
    poor = {**env, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(poor, NAME, *GREEDY, "Please repeat this: é 👍 é 👍 é 👍")
    assert done.returncode == 0
    assert any(ord(character) > 127 for character in done.stdout)
    assert "·" in done.stderr


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_the_text_and_exits_130(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "npurun_tui", "run", NAME, "Tell me a very long story."]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert first
    assert rest.endswith(b"\n")
    assert b"stopped" in errors.splitlines()[-1]
    assert b"Traceback" not in errors


@pytest.mark.model
@pytest.mark.parametrize("prompt", ["\x1b[31mred\x1b]0;owned\x07", "a\u202eb", "[bold]"])
def test_odd_prompts_are_answered(env: dict[str, str], prompt: str) -> None:
    done = run(env, NAME, "--temperature", "0", "--max-tokens", "4", prompt)
    assert done.returncode == 0


@pytest.mark.model
def test_a_prompt_longer_than_the_window(env: dict[str, str]) -> None:
    done = run(env, NAME, "-", stdin="word " * 20000)
    assert done.returncode == 1
    assert done.stdout == ""
    sentence = done.stderr.splitlines()[-1]
    assert "context window holds 8,192" in sentence
    assert "Traceback" not in done.stderr


def test_a_terminal_never_executes_what_a_model_says() -> None:
    class Screen:
        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            pass

    screen = Screen()
    printer = Printer(screen)  # type: ignore[arg-type]
    printer.write("a\x1b]52;c;aGk=\x07b\x9b31m\n")
    assert screen.text == "a␛]52;c;aGk=␇b\ufffd31m\n"
    assert printer.pieces == ["a\x1b]52;c;aGk=\x07b\x9b31m\n"], "what is kept is what was said"


@pytest.mark.parametrize("words", [[""], [" ", "\n"], ["-"]])
def test_an_empty_prompt_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text(" \n")
    with empty.open() as stdin, pytest.raises(UsageError, match="empty"):
        read_prompt(words, stdin)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "some-model"],
        ["run", "some-model", "x", "--temperature", "9"],
        ["run", "some-model", "x", "--seed", "-1"],
        ["run", "some-model", "x", "--max-tokens", "0"],
        ["run", "some-model", ""],
        ["nonsense"],
        ["--nonsense"],
        [],
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "npurun_tui", *arguments],
        env={**os.environ, "NPURUN_TUI_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("npurun-tui: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["missing-model", "../etc", "a/b", "C:\\x", "\x1b[31m", "x" * 300])
def test_an_unknown_model_is_one_sentence(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "npurun_tui", "run", name, "hello"],
        env={**os.environ, "NPURUN_TUI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr


# --- --addr ------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with CannedServer() as server:
        yield server


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment without any model: `--addr` needs none here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NPURUN_")}
    return {**kept, "NPURUN_TUI_HOME": str(tmp_path)}


@pytest.mark.model
def test_against_llama_cpps_own_server(alone: dict[str, str], model_file: Path) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file)
    params.n_ctx = 1024
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.api_keys = ["secret"]
    running = xllamacpp.Server(params)
    address = running.listening_address
    done = run(alone, NAME, *GREEDY, "--addr", address, "--auth-token", "secret", "--json", ASK)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert "banana" in document["text"].lower()
    assert document["usage"]["completion_tokens"] > 0
    assert document["timings"]["decode_tps"] > 0
    refused = run(alone, NAME, "--addr", address, "--auth-token", "wrong", ASK)
    assert refused.returncode == 1
    assert "status 401" in refused.stderr
    assert "--auth-token" in refused.stderr


def test_the_stream_is_printed_as_it_comes(alone: dict[str, str], server: CannedServer) -> None:
    server.answer(
        ': comment\r\n\r\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\r\n\r\n'
        'data: {"choices":[{"delta":{"content":"Hél"}}]}\n\n'
        'data: {"choices":[{"delta":\ndata: {"content":"lo"},"finish_reason":"length"}]}\n\n'
        'data: {"usage":{"prompt_tokens":3,"completion_tokens":2},"choices":[]}\n\n'
        "data: [DONE]\n\n"
    )
    done = run(alone, "m", "--addr", server.address, "--seed", "5", "--stop", "X", "hi", "there")
    assert (done.returncode, done.stdout) == (0, "Héllo\n")
    assert "2 tokens" in done.stderr
    assert "cut at the token limit" in done.stderr
    body = json.loads(server.requests[0].body)
    assert body["messages"] == [{"role": "user", "content": "hi there"}]
    assert (body["seed"], body["stop"], body["stream"]) == (5, ["X"], True)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ('data: {"error":{"message":"the NPU is gone"}}\n\ndata: [DONE]\n\n', "the NPU is gone"),
        ('data: {"choices":[{"delta":{"content":"half"}}]}\n\n', "in the middle"),
        ("data: nonsense\n\n", "not an answer"),
        ("data: [1]\n\n", "not an answer"),
        ("data: " + '{"a":' * 50_000 + "\n\n", "not an answer"),
        ('data: {"usage":{"prompt_tokens":' + "9" * 5000 + "}}\n\n", "not an answer"),
        ('data: {"error":{"message":["no","text"]}}\n\n', "failed in the middle"),
        ("data: [DONE]\n\n", "in the middle"),
        ("", "in the middle"),
    ],
)
def test_a_failure_in_the_stream_is_a_failure(
    alone: dict[str, str], server: CannedServer, stream: str, words: str
) -> None:
    server.answer(stream)
    done = run(alone, "m", "--addr", server.address, "hi")
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, '{"error":{"message":"no token","type":"auth_required"}}', "no token"),
        (429, '{"error":"busy"}', "busy"),
        (503, "not json \x1b[31m", "not json ␛[31m"),
        (302, "", "status 302"),
        (500, '{"error":' * 50_000, "status 500"),
        (500, '{"error":{"message":{"a":1}}}', "status 500"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    alone: dict[str, str], server: CannedServer, status: int, body: str, words: str
) -> None:
    server.answer(body, status=status, headers={"Location": "http://127.0.0.1:1/"})
    done = run(alone, "m", "--addr", server.address, "--auth-token", "t", "hi")
    assert done.returncode == 1
    assert words in done.stderr
    assert "\x1b" not in done.stderr
    assert len(server.requests) == 1, "refusals are not retried, redirects are not followed"


def test_nobody_listens(alone: dict[str, str]) -> None:
    done = run(alone, "m", "--addr", "127.0.0.1:1", "hi")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "leave out --addr" in done.stderr


@pytest.mark.parametrize(
    ("status", "start", "forever"),
    [
        (200, "", b"x" * 65536),
        (200, "data: ", b"x" * 65536),
        (200, "", b"data: " + b"x" * 1000 + b"\n"),
        (500, "", b"x" * 65536),
    ],
)
def test_a_body_without_end_is_not_held(
    alone: dict[str, str], server: CannedServer, status: int, start: str, forever: bytes
) -> None:
    server.answer(start, status=status, forever=forever)
    done = run(alone, "m", "--addr", server.address, "hi")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "without end" in done.stderr or "status 500" in done.stderr
    assert server.sent < 30_000_000, "what the system's own buffers take, and no more"


def test_a_compressed_answer_is_refused(alone: dict[str, str], server: CannedServer) -> None:
    server.answer("", headers={"Content-Encoding": "gzip"})
    done = run(alone, "m", "--addr", server.address, "hi")
    assert done.returncode == 1
    assert "compresses" in done.stderr
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1", '"9"', "true"])
def test_json_passes_on_only_what_can_be_a_number(
    alone: dict[str, str], server: CannedServer, number: str
) -> None:
    usage = f'"prompt_tokens":{number},"completion_tokens":{number}'
    details = f'"prompt_tokens_details":{{"cached_tokens":{number}}}'
    timings = f'"prompt_per_second":{number},"predicted_per_second":{number}'
    server.answer(
        'data: {"error":null,"choices":[{"delta":{"content":"a"},"finish_reason":7}]}\r\r'
        f'data: {{"usage":{{{usage},{details}}},"timings":{{{timings}}}}}\r\n\r\n'
        "data: [DONE]\n\n"
    )
    done = run(alone, "m", "--addr", server.address, "--json", "hi")
    assert (done.returncode, done.stderr) == (0, "")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(done.stdout, parse_constant=refuse)
    assert document["text"] == "a"
    assert document["finish_reason"] is None, "the server gave none that could be passed on"
    assert set(document["usage"].values()) == {None}
    assert document["timings"]["prefill_tps"] is None
    assert document["timings"]["decode_tps"] is None


def test_an_answer_without_a_reason_says_so(alone: dict[str, str], server: CannedServer) -> None:
    server.answer('data: {"choices":[{"delta":{"content":"all"}}]}\n\ndata: [DONE]\n\n')
    done = run(alone, "m", "--addr", server.address, "hi")
    assert (done.returncode, done.stdout) == (0, "all\n")
    assert "did not say why" in done.stderr


def test_no_proxy_is_asked_for_this_machine(alone: dict[str, str], server: CannedServer) -> None:
    server.answer('data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n')
    with CannedServer() as proxy:
        names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
        through = {**alone, **dict.fromkeys(names, f"http://{proxy.address}")}
        through = {k: v for k, v in through.items() if k.lower() != "no_proxy"}
        done = run(through, "m", "--addr", server.address, "hi")
        elsewhere = run(through, "m", "--addr", "host.invalid:81", "hi")
        assert [request.path for request in proxy.requests] == [
            "http://host.invalid:81/v1/chat/completions"
        ]
    assert (done.returncode, done.stdout) == (0, "a\n")
    assert elsewhere.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell redirections")
@pytest.mark.parametrize(
    ("redirection", "status", "out", "words"),
    [("2>&-", 0, "a\n", ""), (">/dev/full", 1, "", "No space left"), ("<&-", 0, "a\n", "chunk")],
)
def test_closed_and_full_streams(
    alone: dict[str, str],
    server: CannedServer,
    redirection: str,
    status: int,
    out: str,
    words: str,
) -> None:
    server.answer('data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n')
    script = f'"{sys.executable}" -m npurun_tui run m hi --addr {server.address} {redirection}'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env=alone,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, out)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.model
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell redirections")
def test_with_stderr_closed_the_answer_stays_alone(env: dict[str, str]) -> None:
    script = f'"{sys.executable}" -m npurun_tui run {NAME} {" ".join(GREEDY)} "{ASK}" 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == run(env, NAME, *GREEDY, ASK).stdout


@pytest.mark.parametrize(
    "address",
    [
        *("", "ftp://x", "http://", "://", "http:///x", "[::1", "127.0.0.1:99999", "h:0"),
        *("http://h/?token=secret", "http://h/#secret"),
    ],
)
def test_what_is_not_an_address(address: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        base_url(address)


@pytest.mark.parametrize(
    "address",
    ["http://user:secret@h", "user:secret@h", "ftp://user:secret@h:99999", "http://secret@[::1"],
)
def test_a_password_in_an_address_is_never_shown(address: str) -> None:
    with pytest.raises(UsageError, match="no password") as caught:
        base_url(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(("127.0.0.1:1", True), ("127.9.9.9", True), ("[::1]:8", True), ("localhost:8", True)),
        *(("a.localhost", True), ("0.0.0.0:8", True), ("10.0.0.1", False), ("localhost.de", False)),
    ],
)
def test_this_machine(host: str, *, here: bool) -> None:
    assert is_loopback(base_url(host)) is here


def test_addresses() -> None:
    assert base_url("127.0.0.1:11435") == "http://127.0.0.1:11435"
    assert base_url("https://host/base/") == "https://host/base"
