"""`npurun-tui --addr`: only the flag attaches the workbench, and it is not mistaken for a command's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui import launch
from npurun_tui.app import run_workbench
from npurun_tui.commandline import parse
from npurun_tui.errors import UsageError
from npurun_tui.screens import chat_words
from npurun_tui.settings import Paths, Settings
from tests.server.scripted import STATS


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the workbench was opened with."""
    calls: list[tuple[object, ...]] = []

    def open_workbench(_paths: Paths, _settings: Settings, *rest: object) -> int:
        calls.append(rest)
        return 0

    monkeypatch.setattr(launch, "open_workbench", open_workbench)
    for name in ("NPURUN_SERVE_ADDR", "NPURUN_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return calls


def run(home: Path, *arguments: str) -> int:
    return parse(arguments)(Paths.resolve({"NPURUN_TUI_HOME": str(home)}), Settings())


def test_the_flag_attaches(tmp_path: Path, opened: list[tuple[object, ...]]) -> None:
    assert run(tmp_path, "--addr", "host:1", "--auth-token", "t", "--model", "m") == 0
    assert opened == [("m", "host:1", "t")]


def test_an_environment_variable_for_commands_does_not(
    tmp_path: Path, opened: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPURUN_SERVE_ADDR", "host:1")
    monkeypatch.setenv("NPURUN_AUTH_TOKEN", "t")
    assert run(tmp_path) == 0
    assert opened == [(None, "", "t")]


@pytest.mark.parametrize("command", [["list"], ["ps"], ["run", "m", "Hi"]])
def test_before_a_command_it_is_refused(command: list[str]) -> None:
    with pytest.raises(UsageError, match="after the command"):
        parse(["--addr", "host:1", *command])


def test_what_is_no_address_is_said_before_the_screen_changes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        run_workbench(
            Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path)}), Settings(), address="ftp://x"
        )


def test_an_answer_without_figures_has_no_made_up_ones() -> None:
    none = replace(STATS, prompt_tokens=0, prefilled_tokens=0, cached_tokens=0, completion_tokens=0)
    assert chat_words.footer(none) == "TTFT 40 ms"
    assert chat_words.footer(replace(none, ttft_ms=0.0)) == ""
    assert "5 tokens" in chat_words.footer(STATS)
