"""A process's end in words."""

from __future__ import annotations

import pytest

from npurun_tui.engine.exits import describe_exit


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "killed (SIGKILL)"),
        (-11, "crashed (SIGSEGV)"),
        (-6, "gave up (SIGABRT)"),
        (-15, "asked to end"),
        (-1, "ended by SIGHUP"),
        (-99, "signal 99"),
        (0, "exit code 0"),
        (3, "exit code 3"),
        (0xC0000005, "access violation"),
        (-1073740791 & 0xFFFFFFFF, "stack buffer overrun"),
        (0xC0000135, "DLL"),
    ],
)
def test_the_words(code: int, words: str) -> None:
    assert words in describe_exit(code)
