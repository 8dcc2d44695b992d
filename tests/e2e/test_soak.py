"""A short soak: faults of every kind through everything, and what must hold after each (`benchmarks.soak` is the long
one)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.abi_library import built_library
from tests.support.soak import MIX, soak

FAULTS = 2 * sum(weight for _, weight in MIX)


def test_the_next_answer_always_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPURUN_GENIE_LIB", str(built_library()))
    tally = soak(tmp_path, FAULTS)
    assert sum(tally.faults.values()) == FAULTS
    assert set(tally.faults) == {kind for kind, _ in MIX}
    assert tally.asked_again > 0  # answers that broke off in the middle
    assert tally.noted  # and ones that came by another way, which their figures say
    assert tally.processes > tally.faults["crash"]
    assert tally.left_running == 0
    assert tally.descriptors <= 4
