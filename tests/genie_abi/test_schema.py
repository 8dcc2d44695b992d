"""The validator against what five releases of the real library said to 137 configs."""

from __future__ import annotations

import pytest

from npurun_tui.genie_abi.failure import AbiError
from npurun_tui.genie_abi.schema import check_root
from tests.genie_abi.config_cases import Case, cases

RELEASES = ("1.18", "1.19", "1.20", "1.20-2.50", "1.21")
"""In the order of a row's statuses."""


def answer(case: Case, release: str) -> int:
    try:
        check_root("dialog", case.document, release)
    except AbiError as error:
        return int(error.status)
    return 0


@pytest.mark.parametrize("place", range(len(RELEASES)), ids=RELEASES)
def test_every_row_of_a_release(place: int) -> None:
    wrong = [
        (case.name, found, case.statuses[place])
        for case in cases()
        if (found := answer(case, RELEASES[place])) != case.statuses[place]
    ]
    assert wrong == []
