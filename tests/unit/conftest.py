"""Fixtures of the unit tests: a tiny model or bundle, a server that has it, an empty store, a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, serve
from tests.support.pulling import only_index
from tests.support.tiny_bundle import TinyBundle, build_tiny_bundle
from tests.support.tiny_model import TinyModel, build_tiny_model

if TYPE_CHECKING:
    from tests.support.catalog_scene import Scene


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model()


@pytest.fixture
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index that pip's configuration names."""
    with serve(tiny) as served:
        only_index(monkeypatch, served.url)
        yield served


@pytest.fixture(scope="module")
def bundle() -> TinyBundle:
    return build_tiny_bundle()


@pytest.fixture
def archives(bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """A server that has the bundle's archive."""
    with serve(build_tiny_model(tensor_bytes=1000)) as server:
        only_index(monkeypatch, server.url)
        server.data = bundle.archive
        yield server


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A signed catalog behind HTTP, and a program that knows its root."""
    from tests.support.catalog_scene import scene_in  # loads tuf, which few tests need

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with scene_in(tmp_path) as made:
        yield made
