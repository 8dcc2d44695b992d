"""LangChain, LlamaIndex, LiteLLM and `llm`, unmodified, each in a process of its own as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real_model import NAME
from tests.support.served import Served

SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    "script",
    ["langchain_chat_ollama", "langchain_chat_openai", "llamaindex_ollama", "litellm_all"],
)
def test_framework(served: Served, script: str) -> None:
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = _run([str(SCRIPTS / f"{script}.py"), served.url, NAME], environ)
    assert done.stdout.strip().endswith("passed"), done.stderr


def test_llm(served: Served, tmp_path: Path) -> None:
    environ = {"OLLAMA_HOST": served.url, "LLM_USER_PATH": str(tmp_path)}
    listed = _run(["-m", "llm", "models"], environ)
    assert f"{NAME}:latest" in listed.stdout, listed.stderr
    asked = ["-m", "llm", "-m", f"ollama/{NAME}", "-o", "num_predict", "8", "Say hello."]
    done = _run(asked, environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def _run(arguments: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | environ,
    )
