"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.real_model import ensure_real_model


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real 135M model; the first test run on a machine pulls it (93 MB)."""
    # In a thread, because a session fixture may be asked for while an event loop runs.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ensure_real_model).result()
