"""The short names of clients, whatever they call themselves."""

from __future__ import annotations

import pytest

from npurun_tui.server.clients import holder_words, short_client
from npurun_tui.text import printable

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"
CODE = "Mozilla/5.0 AppleWebKit/537.36 Code/1.105 Chrome/138.0 Electron/37.6 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("OpenAI/Python 3.57.0", "openai (Python)"),
        ("AsyncOpenAI/Python 1.0", "openai (Python)"),
        ("OpenAI/JS 6.1.0", "openai (JS)"),
        ("ollama-python/0.6.3 (x86_64 linux) Python/3.11.7", "ollama (Python)"),
        ("ollama/0.12.6 (amd64 linux) Go/go1.24.0", "ollama"),
        ("Anthropic/Python 0.80", "anthropic (Python)"),
        ("GitHubCopilotChat/0.33.0", "VS Code Copilot"),
        ("Python/3.12 aiohttp/3.12.15", "aiohttp"),
        ("curl/8.5.0", "curl"),
        (FIREFOX, "Firefox"),
        (EDGE, "Edge"),
        (CODE, "a desktop app"),
        ("my-agent (beta)", "my-agent"),
        ("", ""),
        ("   ", ""),
        ("/1.0", ""),
    ],
)
def test_names(agent: str, name: str) -> None:
    assert short_client(agent) == name


@pytest.mark.parametrize("agent", ["\x1b]0;evil\x07/1", "a" * 5000, "\u202eevil/1", "x\ny/1"])
def test_nothing_of_it_reaches_the_terminal_raw(agent: str) -> None:
    name = short_client(agent)
    assert len(name) <= 30
    assert printable(name) == name
    assert "\n" not in name


def test_who_holds_the_permit() -> None:
    assert holder_words("OpenAI/Python 3.57.0: smollm2") == "openai (Python): smollm2"
    assert holder_words("HTTP: smollm2") == "HTTP: smollm2"
    assert holder_words("chat") == "chat"
