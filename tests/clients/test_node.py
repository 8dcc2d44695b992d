"""The unmodified Node clients: `openai`, `ollama`, and the AI SDK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest

from tests.support.real_model import NAME
from tests.support.served import Served

HERE = Path(__file__).parent / "node"

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")), reason="needs Node and npm"
    ),
]


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """The scripts beside installed packages; kept in the user's cache, as they are 50 MB."""
    cache = platformdirs.user_cache_path("npurun-tui", appauthor=False) / "test-node"
    cache.mkdir(parents=True, exist_ok=True)
    for file in HERE.iterdir():
        shutil.copy2(file, cache)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=300)
    return cache


@pytest.mark.parametrize("script", ["openai.mjs", "ollama.mjs", "ai-sdk.mjs"])
def test_node_client(served: Served, node_folder: Path, script: str) -> None:
    done = subprocess.run(
        ["node", script, served.url, NAME],
        cwd=node_folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stdout.strip() == "passed", done.stderr
