"""One real server, on the real 135M model, for all clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real_model import NAME
from tests.support.served import Served, serve


@pytest.fixture(scope="package")  # not longer: other tests count the processes that are left
def served(real_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`npurun-tui serve` with the real model loaded."""
    with serve(
        tmp_path_factory.mktemp("home"), real_models, "--model", NAME, "--keep-alive", "-1"
    ) as server:
        yield server
