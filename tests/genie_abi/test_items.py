"""The library with Genie's interface on the CPU answers every question that needs no model as the real one does.

The expectations are what the real library of the same version was seen to do; `scripts/real-genie` asks it again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.genie_abi.config_cases import cases
from tests.genie_abi.items import ITEMS
from tests.genie_abi.items.parent import NotStarted, Run, run_items
from tests.support.abi_library import built_library

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module", params=["1.18", "1.21"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All items over the library, which claims to be of one version."""
    environ = dict(os.environ) | {"PYTHONPATH": str(REPOSITORY), "NPURUN_ABI_API": request.param}
    folder = tmp_path_factory.mktemp("items")
    ran = run_items((sys.executable,), built_library(), list(ITEMS), folder, environ)
    assert ran.version.startswith(request.param)
    return ran


@pytest.mark.parametrize("number", ITEMS)
def test_item(run: Run, number: str) -> None:
    outcome = run.outcomes[number]
    assert not outcome.failure
    assert not outcome.wrong
    assert outcome.seen or number == "2b"  # 1.18 has none of the unknown functions


def test_every_config_is_asked_about() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names) == 137


def test_a_file_that_is_no_library_is_told(tmp_path: Path) -> None:
    file = tmp_path / "libGenie.so"
    file.write_bytes(b"not a library")
    environ = dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)}
    with pytest.raises(NotStarted, match="cannot be loaded"):
        run_items((sys.executable,), file, ["1"], tmp_path, environ)


def test_a_crash_costs_one_item(tmp_path: Path) -> None:
    """A Python that dies in item 5, whatever is asked of it, and answers nothing after that."""
    broken = tmp_path / "dies.py"
    broken.write_text(
        "import os, signal, sys\n"
        "from tests.genie_abi.items import ITEMS, Item\n"
        "die = lambda world: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "ITEMS['5'] = Item('5', 'dies', die)\n"
        "sys.argv = sys.argv[2:]\n"  # `-m` and the module's name
        "import tests.genie_abi.items.__main__\n",
        encoding="utf-8",
    )
    environ = dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)}
    python = (sys.executable, str(broken))
    ran = run_items(python, built_library(), ["1", "5", "6"], tmp_path, environ)
    assert ran.outcomes["5"].failure.startswith("killed by SIGSEGV")
    assert [number for number, outcome in ran.outcomes.items() if outcome.failure] == ["5"]
    assert ran.outcomes["6"].seen
