"""Lines on a stderr that is closed, missing, or full and unread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from npurun_tui.commands.speaking import Speaker, say


def run(code: str, stderr: int) -> int:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=False, stdout=subprocess.DEVNULL, stderr=stderr, timeout=60
    ).returncode


def test_lines_come_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    speaker = Speaker()
    for number in range(50):
        speaker.say(f"line {number} é")
    speaker.finish(10)
    assert capsys.readouterr().err.splitlines() == [f"line {n} é" for n in range(50)]


def test_nothing_is_said_where_there_is_no_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("lost")
    speaker = Speaker()
    speaker.say("lost")
    speaker.finish(10)
    assert speaker.deaf
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_has_gone_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = (
        "from npurun_tui.commands.speaking import Speaker, say\n"
        "speaker = Speaker(); speaker.say('a'); speaker.finish(10); assert speaker.deaf; say('b')"
    )
    try:
        assert run(code, writing) in (0, 120)  # Python's own for a stderr that it cannot flush
    finally:
        os.close(writing)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_full_pipe_lets_go_of_the_process() -> None:
    reading, writing = os.pipe()
    code = (
        "from npurun_tui.commands.speaking import Speaker\n"
        "speaker = Speaker()\n"
        "for _ in range(3000): speaker.say('x' * 100)\n"
        "speaker.finish(0.5)"
    )
    try:
        assert run(code, writing) == 0
    finally:
        os.close(reading)
        os.close(writing)
