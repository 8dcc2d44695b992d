"""The dialogs under test: each test of this folder runs over every entry of `IMPLEMENTATIONS`.

A model is loaded once per session; between tests the dialog is reset and its settings are put back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import Dialog, Sampler
from npurun_tui.engine.genie.bundle import read_bundle
from npurun_tui.engine.genie.dialog import GenieDialog
from npurun_tui.engine.genie.library import Library
from npurun_tui.engine.loading import open_dialog
from npurun_tui.engine.spec import ModelSpec
from tests.support.abi_library import built_library
from tests.support.genie_bundle import bundle_of

CONTEXT = 256  # small, because some tests fill it
GREEDY = Sampler(temperature=0)


def open_cpu(model_file: Path) -> Dialog:
    return open_dialog(
        ModelSpec("test", "llama.cpp", model_file.parent, model_file, context=CONTEXT)
    )


def open_genie(model_file: Path) -> Dialog:
    """The binding over the library with Genie's C interface: a true C boundary, and a real model behind it."""
    library = Library(built_library())
    file = bundle_of(model_file, Path(tempfile.mkdtemp(prefix="bundle.")), context=CONTEXT)
    return GenieDialog(read_bundle(file, library.version), library)


IMPLEMENTATIONS: dict[str, Callable[[Path], Dialog]] = {"cpu": open_cpu, "genie": open_genie}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("model")


@pytest.fixture(scope="session", params=list(IMPLEMENTATIONS))
def opened(request: pytest.FixtureRequest, model_file: Path) -> Iterator[Dialog]:
    dialog = IMPLEMENTATIONS[request.param](model_file)
    yield dialog
    dialog.close()


@pytest.fixture
def another(opened: Dialog, request: pytest.FixtureRequest, model_file: Path) -> Iterator[Dialog]:
    """A second dialog of the same kind, for what must happen to a dialog of its own."""
    dialog = IMPLEMENTATIONS[request.node.callspec.params["opened"]](model_file)
    yield dialog
    dialog.close()


@pytest.fixture
def dialog(opened: Dialog) -> Dialog:
    """Empty, greedy, without stop sequences or a token limit."""
    opened.set_sampler(GREEDY)
    opened.set_stop_sequences([])
    opened.set_max_tokens(None)
    opened.reset()
    return opened
