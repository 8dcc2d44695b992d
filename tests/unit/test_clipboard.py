"""Copying: what reaches the terminal, when a tool is used, and that the sentence is true."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from npurun_tui.widgets import clipboard
from npurun_tui.widgets.clipboard import OSC_52_LIMIT, copy, native_tool, wrap_osc_52


class Terminal:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.copied: list[str] = []
        self.written: list[str] = []

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    def write_to_terminal(self, data: str) -> None:
        self.written.append(data)


@pytest.fixture
def tool(tmp_path: Path) -> dict[str, str]:
    """An X11 desktop whose `xclip` writes what it is given into a file."""
    script = tmp_path / "xclip"
    script.write_text(f'#!/bin/sh\ncat > "{tmp_path}/clipboard"\n')
    script.chmod(0o755)
    return {"DISPLAY": ":0", "PATH": f"{tmp_path}:/usr/bin:/bin"}


async def test_a_plain_terminal_is_asked_and_the_doubt_is_said() -> None:
    terminal = Terminal()
    result = await copy(terminal, "text", environ={}, platform="linux")
    assert (terminal.copied, terminal.written) == (["text"], [])
    assert not result.verified
    assert "does not confirm" in result.sentence


async def test_a_desktop_tool_is_used_and_verified(tool: dict[str, str], tmp_path: Path) -> None:
    result = await copy(Terminal(), "übung 🦙\n", environ=tool, platform="linux")
    assert result.verified
    assert (tmp_path / "clipboard").read_text() == "übung 🦙\n"
    assert result.sentence == "Copied 8 characters."


async def test_over_ssh_the_tool_of_the_wrong_machine_is_left_alone(
    tool: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal()
    result = await copy(
        terminal, "text", environ={**tool, "SSH_TTY": "/dev/pts/1"}, platform="linux"
    )
    assert terminal.copied == ["text"]
    assert not result.verified
    assert not (tmp_path / "clipboard").exists()


async def test_a_failing_tool_is_not_believed(tool: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "xclip").write_text("#!/bin/sh\nexit 1\n")
    assert not (await copy(Terminal(), "text", environ=tool, platform="linux")).verified


async def test_a_hanging_tool_is_ended(
    tool: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "TOOL_TIMEOUT", 0.1)
    (tmp_path / "xclip").write_text("#!/bin/sh\nexec sleep 60\n")
    assert not (await copy(Terminal(), "text", environ=tool, platform="linux")).verified


async def test_too_much_for_a_terminal_is_said_unless_a_tool_takes_it(
    tool: dict[str, str], tmp_path: Path
) -> None:
    terminal, text = Terminal(), "x" * (OSC_52_LIMIT + 1)
    result = await copy(terminal, text, environ={}, platform="linux")
    assert terminal.copied == []
    assert result.sentence.startswith("Not copied")
    assert (await copy(terminal, text, environ=tool, platform="linux")).verified
    assert (tmp_path / "clipboard").read_text() == text


async def test_a_lone_surrogate_does_no_harm(tool: dict[str, str], tmp_path: Path) -> None:
    assert (await copy(Terminal(), "a\ud83db", environ=tool, platform="linux")).verified
    assert (tmp_path / "clipboard").read_text() == "a?b"


def test_tmux_gets_it_wrapped() -> None:
    wrapped = wrap_osc_52(b"text", {"TMUX": "/tmp/tmux-0/default,1,0"})
    encoded = base64.b64encode(b"text").decode()
    assert wrapped == f"\x1bPtmux;\x1b\x1b]52;c;{encoded}\x07\x1b\\"


def test_screen_gets_it_in_pieces_that_join_to_the_whole() -> None:
    wrapped = wrap_osc_52(b"x" * 2000, {"TERM": "screen-256color"})
    pieces = re.findall("\x1bP(.*?)\x1b\\\\", wrapped, re.DOTALL)
    assert all(len(piece) <= 768 for piece in pieces)
    encoded = base64.b64encode(b"x" * 2000).decode()
    assert "".join(pieces) == f"\x1b]52;c;{encoded}\x07"


def test_without_a_multiplexer_nothing_is_wrapped() -> None:
    assert wrap_osc_52(b"text", {"TERM": "xterm-256color"}) == ""


def test_no_tool_without_a_desktop(tool: dict[str, str]) -> None:
    assert native_tool({"PATH": tool["PATH"]}, "linux") is None
    found = native_tool(tool, "linux")
    assert found is not None
    assert found[1:] == ("-selection", "clipboard", "-in")


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"SSH_TTY": "/dev/pts/1"}, "over SSH"),
        ({"DISPLAY": ":0"}, "xclip failed"),
        ({}, "no clipboard tool"),
    ],
)
async def test_what_is_too_much_for_a_terminal_is_explained_truly(
    tool: dict[str, str], tmp_path: Path, environ: dict[str, str], why: str
) -> None:
    (tmp_path / "xclip").write_text("#!/bin/sh\nexit 1\n")
    there = {"PATH": tool["PATH"], **environ}
    copied = await copy(Terminal(), "x" * (OSC_52_LIMIT + 1), environ=there, platform="linux")
    assert not copied.verified
    assert why in copied.sentence
