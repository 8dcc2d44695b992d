"""The real 135M model for tests: fetched once, with the program's own pull, into the user's cache."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import platformdirs

from npurun_tui.errors import ModelBusy, ModelNotFound
from npurun_tui.models.catalog import find
from npurun_tui.models.pull import pull
from npurun_tui.models.store import InstalledModel, ModelStore

NAME = "smollm2-135m-instruct"
WAIT = 600.0
"""Seconds to wait for another test run that is fetching it."""


def real_store() -> ModelStore:
    """The store that the real model is fetched into; no test writes to it."""
    cache = platformdirs.user_cache_path("npurun-tui", appauthor=False)
    return ModelStore(cache / "test-models")


def ensure_real_model() -> Path:
    """The GGUF file; `NPURUN_TEST_GGUF` names one that is there already."""
    if given := os.environ.get("NPURUN_TEST_GGUF"):
        return Path(given)
    model = ensure_installed(real_store())
    return model.folder / model.manifest.files.model


def ensure_installed(store: ModelStore) -> InstalledModel:
    """The model in `store`, pulled where it is not there yet."""
    end = time.monotonic() + WAIT
    while True:
        try:
            return store.get(NAME)
        except ModelNotFound:
            try:
                asyncio.run(_pull(store))
            except ModelBusy:
                if time.monotonic() > end:
                    raise
                time.sleep(1)


async def _pull(store: ModelStore) -> None:
    async for _ in pull(find(NAME), store):
        pass
