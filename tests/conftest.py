"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.real_model import ensure_installed, ensure_real_model, real_store


def pytest_collection_finish() -> None:
    """What five thousand tests and their modules are made of stays to the end: no garbage collection looks at it again.

    A full one took 0.3 s, which was a tenth of the time of the tests of screens.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real 135M model; the first test run on a machine pulls it (93 MB)."""
    # In a thread, because a session fixture may be asked for while an event loop runs.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ensure_real_model).result()


@pytest.fixture(scope="session")
def real_models() -> Path:
    """A models folder with the real 135M model in it. No test may write to it."""
    store = real_store()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ensure_installed, store).result()
    return store.root
