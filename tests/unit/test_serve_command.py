"""What `serve` refuses before it begins, and what it says when it has."""

from __future__ import annotations

import pytest

from npurun_tui.cli import main
from npurun_tui.commands.serve import Tokens, _greet
from npurun_tui.errors import UsageError
from npurun_tui.server.address import host_or_name, web_origin
from npurun_tui.server.config import ServerConfig


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://app.example",
            "http://localhost:3000",
            "*",
            "app://obsidian.md",
            "http://[::1]:8",
        ),
        "https://a.example/",
    ],
)
def test_web_origins(text: str) -> None:
    assert web_origin(text) == text


@pytest.mark.parametrize("text", ["foo", "", "https://", "https://a/b", "https://a b", "null"])
def test_what_is_no_web_origin(text: str) -> None:
    with pytest.raises(ValueError, match="no web origin"):
        web_origin(text)


@pytest.mark.parametrize("text", ["laptop.local", "my_box", "10.0.0.1", "::1", "laptop:8080"])
def test_host_names(text: str) -> None:
    assert host_or_name(text) == text


@pytest.mark.parametrize("text", ["a b/c", "", "http://a", "*.example", "a:b"])
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(ValueError, match="not a host's name"):
        host_or_name(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--cors-origin", "foo"], "no web origin"),
        (["--allowed-host", "a b/c"], "not a host's name"),
        (["--auth-token", "x" * 20, "--admin-token", "x" * 20], "protects nothing"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(
    capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert main(["serve", *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("infer", "short"), [("secret", True), ("x" * 16, False), ("", False)])
def test_a_short_token_is_warned_of(infer: str, *, short: bool) -> None:
    said: list[str] = []
    _greet("http://h", ServerConfig(), Tokens.chosen(infer, "", new=False), said.append)
    assert any("can be guessed" in line for line in said) is short


def test_equal_tokens_are_refused() -> None:
    with pytest.raises(UsageError, match="protects nothing"):
        Tokens.chosen("a" * 20, "a" * 20, new=False)


def test_a_keep_alive_of_0_is_told_beside_a_model() -> None:
    said: list[str] = []
    _greet("http://h", ServerConfig(model="m", keep_alive=0), Tokens(), said.append)
    assert "  --keep-alive 0: m is loaded and unloaded again at once, as after each answer" in said
