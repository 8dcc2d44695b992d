"""LangChain, LlamaIndex, LiteLLM and `llm`, unmodified, as their users call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.support.real_model import NAME
from tests.support.served import Served

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_langchain_ollama(served: Served) -> None:
    from langchain_ollama import ChatOllama

    chat = ChatOllama(
        model=NAME, base_url=served.url, temperature=0, num_predict=8, validate_model_on_init=True
    )
    answer = chat.invoke("Say hello.")
    assert answer.content
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 8
    assert all(part.content for part in chat.batch(["One.", "Two.", "Three."]))
    assert "".join(str(part.content) for part in chat.stream("Say hello.")) == answer.content


def test_langchain_openai(served: Served) -> None:
    from langchain_openai import ChatOpenAI
    from pydantic import BaseModel, SecretStr

    class Colour(BaseModel):
        name: Literal["red", "green", "blue"]

    chat = ChatOpenAI(
        model=NAME,
        base_url=f"{served.url}/v1",
        api_key=SecretStr("x"),
        temperature=0,
        max_completion_tokens=60,
        max_retries=0,
    )
    assert chat.invoke("Say hello.").content
    assert len(chat.batch(["One.", "Two.", "Three."])) == 3
    structured = chat.with_structured_output(Colour, method="json_schema")
    assert isinstance(structured.invoke("Name one colour, in a word."), Colour)


def test_llamaindex(served: Served) -> None:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.ollama import Ollama

    model = Ollama(
        model=NAME, base_url=served.url, request_timeout=120, additional_kwargs={"num_predict": 8}
    )
    assert model.chat([ChatMessage(role="user", content="Say hello.")]).message.content
    assert "".join(part.delta or "" for part in model.stream_complete("Say hello."))


@pytest.mark.parametrize("prefix", ["ollama_chat/", "ollama/", "openai/"])
def test_litellm(served: Served, prefix: str) -> None:
    script = (
        "import litellm, sys\n"
        "base = sys.argv[2] + ('/v1' if sys.argv[1].startswith('openai/') else '')\n"
        "for stream in (False, True):\n"
        "    r = litellm.completion(model=sys.argv[1], api_base=base, api_key='x', max_tokens=8,\n"
        "        messages=[{'role': 'user', 'content': 'Say hello.'}], stream=stream)\n"
        "    text = ''.join(c.choices[0].delta.content or '' for c in r) if stream else r.choices[0].message.content\n"
        "    assert text, r\n"
        "print('answered')\n"
    )
    done = _run([sys.executable, "-c", script, f"{prefix}{NAME}", served.url], {})
    assert "answered" in done.stdout, done.stderr


def test_llm(served: Served, tmp_path: Path) -> None:
    environ = {"OLLAMA_HOST": served.url, "LLM_USER_PATH": str(tmp_path)}
    listed = _run([sys.executable, "-m", "llm", "models"], environ)
    assert f"Ollama: {NAME}" in listed.stdout, listed.stderr
    done = _run(
        [
            sys.executable,
            "-m",
            "llm",
            "-m",
            f"{NAME}:latest",
            "-o",
            "num_predict",
            "8",
            "Say hello.",
        ],
        environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def _run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"} | environ,
    )
