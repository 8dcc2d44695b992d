"""Texts for clients: whole, valid in their languages, with this server in them and without its token."""

from __future__ import annotations

import ast
import asyncio
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from npurun_tui.server.snippets import Server, Snippet, snippets
from tests.support.server_tab import listening

URL = "https://my-machine:11435"
MODEL = 'odd "model" $name'

CASES = [
    pytest.param(snippet, token, id=f"{snippet.key}-{'token' if token else 'open'}")
    for token in (False, True)
    for snippet in snippets(Server(URL, MODEL, token=token))
]


@pytest.mark.parametrize(("snippet", "token"), CASES)
def test_it_is_valid_and_names_the_server(snippet: Snippet, token: bool) -> None:
    assert URL in snippet.text
    assert snippet.where
    match snippet.language:
        case "python":
            names = {
                n.value for n in ast.walk(ast.parse(snippet.text)) if isinstance(n, ast.Constant)
            }
            assert MODEL in names
            assert names & {URL, f"{URL}/v1"}
        case "json":
            [entry] = json.loads(snippet.text)
            assert entry["url"] == URL
        case "yaml":
            [model] = yaml.safe_load(snippet.text)["models"]
            assert (model["apiBase"], model["model"]) == (f"{URL}/v1", MODEL)
        case "shell":
            done = subprocess.run(
                ["bash", "-n", "-c", snippet.text], capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("snippet", "token"), CASES)
def test_a_token_is_named_where_it_is_asked_for(snippet: Snippet, token: bool) -> None:
    named = "NPURUN_AUTH_TOKEN" in snippet.text
    assert named == (token and snippet.key not in ("ollama", "copilot"))
    if token and not named:
        assert "sends no token" in snippet.note


def test_curl_sends_the_model_as_json() -> None:
    text = snippets(Server(URL, MODEL))[0].text
    parts = shlex.split(text.replace("\\\n", " "))
    assert json.loads(parts[parts.index("--data-raw") + 1])["model"] == MODEL


@pytest.mark.parametrize("key", ["openai", "ollama-python", "langchain"])
async def test_a_python_snippet_runs_as_it_is(tmp_path: Path, key: str) -> None:
    async with listening(tmp_path) as control:
        server = Server(control.status.url, "small")
        [text] = [snippet.text for snippet in snippets(server) if snippet.key == key]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", text, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert out.decode().strip() == "Hello, wörld 🎉"
