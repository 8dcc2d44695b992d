"""The command that asks a request again: exact for a shell, harmless whatever the client has sent."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.server.log import row_of
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.replay import LONGEST, Target, curl_of
from npurun_tui.server.tokens import hash_token
from npurun_tui.storage.requests import RequestRow
from npurun_tui.text import printable
from tests.support.live_server import serving

URL = "http://127.0.0.1:11435"
HERE = Target(URL)
NASTY = (
    'it\'s $HOME `id` $(id) "quoted" \\ !history',
    "@/etc/passwd",
    "-o /tmp/x",
    "line\nline",
    "ünïcode 🎉",
)


def row(body: bytes | None = b'{"model":"m"}', **values: object) -> RequestRow:
    record = RequestRecord(method="POST", path="/v1/chat/completions")
    record.body, record.request_bytes = body, len(body or b"five.")
    for name, value in values.items():
        setattr(record, name, value)
    return row_of(record)


def words(command: str) -> list[str]:
    """As the shell reads it; bash finds nothing wrong with it either."""
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    return shlex.split(command.replace("\\\n", " "))


def test_a_chat_is_asked_again_with_its_body() -> None:
    replay = curl_of(row(stream=True), HERE)
    assert words(replay.command) == [
        "curl", "-sS", "-N", "-H", "Content-Type: application/json",
        "--data-raw", '{"model":"m"}', f"{URL}/v1/chat/completions",
    ]  # fmt: skip
    assert replay.note == ""


@pytest.mark.parametrize("text", NASTY)
def test_a_body_is_quoted_exactly(text: str) -> None:
    body = json.dumps({"prompt": text}, ensure_ascii=False).encode()
    parts = words(curl_of(row(body), HERE).command)
    assert parts[parts.index("--data-raw") + 1].encode() == body


@pytest.mark.parametrize("text", NASTY)
def test_a_body_that_is_no_json_is_no_file_and_no_option(text: str) -> None:
    parts = words(curl_of(row(text.encode()), HERE).command)
    assert parts[parts.index("--data-raw") + 1] == text  # which takes `@` as it is
    assert "--data-binary" not in parts


def test_control_characters_are_escaped_where_json_has_the_same_in_other_words() -> None:
    body = '{"prompt": "\x7f\u009b31m \u202e"}'.encode()
    command = curl_of(row(body), HERE).command
    assert printable(command) == command
    parts = words(command)
    assert json.loads(parts[parts.index("--data-raw") + 1]) == json.loads(body)


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"plain \x1b[31m", b"{" + b" " * LONGEST + b"}"])
def test_what_cannot_be_pasted_is_a_file(body: bytes) -> None:
    replay = curl_of(row(body), HERE)
    assert "--data-binary @body.json" in replay.command
    assert "body.json" in replay.note


def test_a_body_that_was_not_kept_is_a_file_with_the_reason() -> None:
    replay = curl_of(row(None), HERE)
    assert "--data-binary @body.json" in replay.command
    assert replay.note == (
        "Bodies are kept only while prompts are logged: put one into the file body.json."
    )


@pytest.mark.parametrize(
    "path", ["/v1/models/a b;id", "/api/'$(id)'", "/x{1,2}[3]", "/a?b#c", "/\x1b[31m", "/..//é"]
)
def test_a_path_is_one_word_of_plain_letters(path: str) -> None:
    command = curl_of(row(None, method="GET", path=path, request_bytes=0), HERE).command
    url = words(command)[-1]
    assert url.startswith(URL + "/")
    assert url.isascii()
    assert url.isprintable()
    assert not set('{}[]?#" ') & set(url)
    assert ("--path-as-is" in command) == ("/." in path)


def test_methods() -> None:
    def command(method: str) -> str:
        return curl_of(row(None, method=method, path="/", request_bytes=0), HERE).command

    assert words(command("GET")) == ["curl", "-sS", f"{URL}/"]
    assert "--head" in command("HEAD")
    assert "-X DELETE" in command("DELETE")
    assert "-X POST" in command("POST")
    assert "-X" not in command("EVIL;id")


def test_a_token_is_named_and_never_there() -> None:
    target = Target(URL, token=True, admin_token=True, cert=Path("/my certs/c.pem"))
    command = curl_of(row(), target).command
    assert '-H "Authorization: Bearer $NPURUN_AUTH_TOKEN"' in command
    assert words(command)[3] == "/my certs/c.pem"
    assert "$NPURUN_ADMIN_TOKEN" in curl_of(row(path="/api/pull"), target).command
    only = replace(target, admin_token=False)
    assert "$NPURUN_AUTH_TOKEN" in curl_of(row(path="/api/pull"), only).command


async def test_it_asks_a_real_server_the_same(tmp_path: Path) -> None:
    text = 'it\'s $HOME `id` "x" \\ ü 🎉 \x7f'
    body = json.dumps({"text": text, "count": 3}, ensure_ascii=False).encode()
    async with serving(infer_token=hash_token("npt_secret")) as live:
        replay = curl_of(row(body, path="/v1/echo"), Target(live.url, token=True))
        environ = {**os.environ, "NPURUN_AUTH_TOKEN": "npt_secret"}
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", replay.command, env=environ, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err
        assert json.loads(out) == {"text": text, "count": 3}
