"""The real model, from the index that this machine's pip is configured with."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from npurun_tui.engine.cpu.gguf import read_gguf
from npurun_tui.models.catalog import find
from npurun_tui.models.store import ModelStore
from npurun_tui.models.verify import Verdict, verify
from tests.support.real_model import NAME, ensure_installed, real_store


@pytest.mark.model
def test_the_real_model_is_what_the_catalog_says() -> None:
    entry, model = find(NAME), ensure_installed(real_store())
    manifest = model.manifest
    assert (manifest.arch, manifest.context, manifest.quant) == (
        entry.arch,
        entry.context,
        entry.quant,
    )
    assert manifest.licence == entry.licence
    assert dict(verify(model)) == {manifest.files.model: Verdict.SAME}
    file = model.folder / manifest.files.model
    assert file.stat().st_size == entry.installed_size
    assert read_gguf(file).vocabulary_size == manifest.vocab


@pytest.mark.model
async def test_the_real_index_resumes_a_killed_pull(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    environment = {"NPURUN_MODELS_DIR": str(store.root), "NPURUN_TUI_HOME": str(tmp_path)}
    child = await _start(environment)
    assert child.stdout is not None
    async for line in child.stdout:
        event = json.loads(line)
        if event.get("phase") == "downloading" and event["completed"] > 10_000_000:
            break
    child.kill()
    await child.communicate()
    kept = store.partials()[NAME]
    assert store.scan() == ([], [])

    child = await _start(environment)
    out, error = await child.communicate()
    assert child.returncode == 0, error
    events = [json.loads(line) for line in out.splitlines()]
    assert max(event.get("resumed_from", 0) for event in events) == kept
    assert events[-1]["event"] == "done"
    assert dict(verify(store.get(NAME))) == {"SmolLM2-135M-Instruct.Q4_1.gguf": Verdict.SAME}


async def _start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    import os

    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "npurun_tui", "pull", NAME, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
