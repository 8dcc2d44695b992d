"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real 135M model."""
    return Path(os.environ["NPURUN_TEST_GGUF"])
