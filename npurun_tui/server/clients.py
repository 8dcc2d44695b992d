"""What people call a client, told from its User-Agent: a text that the client itself chooses, and may be anything."""

from __future__ import annotations

import re
from typing import Final

from npurun_tui.text import one_line

_KNOWN: Final = (
    ("openai/python", "openai (Python)"),
    ("asyncopenai/python", "openai (Python)"),
    ("openai/js", "openai (JS)"),
    ("anthropic/python", "anthropic (Python)"),
    ("asyncanthropic/python", "anthropic (Python)"),
    ("anthropic/js", "anthropic (JS)"),
    ("ollama-python", "ollama (Python)"),
    ("ollama-js", "ollama (JS)"),
    ("ollama/", "ollama"),
    ("githubcopilotchat", "VS Code Copilot"),
    ("continue", "Continue"),
    ("claude-cli", "Claude Code"),
    ("python-httpx", "httpx"),
    ("python-requests", "requests"),
    ("open-webui", "Open WebUI"),
    ("open webui", "Open WebUI"),
    ("ai/", "AI SDK"),
    ("ai-sdk", "AI SDK"),
)
"""How a User-Agent begins, in small letters, and who that is. The SDKs' own, as they send them."""

_BROWSERS: Final = (("electron/", "a desktop app"), ("edg/", "Edge"), ("firefox/", "Firefox"), ("chrome/", "Chrome"),
                    ("safari/", "Safari"))  # fmt: skip
_PRODUCT: Final = re.compile(r"[^/\s(]+")


def short_client(agent: str) -> str:
    """A name of at most 30 printable characters; empty where the client gave none."""
    agent = one_line(agent, 300)
    small = agent.lower()
    for start, name in _KNOWN:
        if small.startswith(start):
            return name
    if small.startswith("mozilla/"):
        return next((name for sign, name in _BROWSERS if sign in small), "a browser")
    if small.startswith("python/") and "aiohttp" in small:
        return "aiohttp"
    product = _PRODUCT.match(agent)
    return one_line(product.group(), 30) if product else ""


def holder_words(holder: str) -> str:
    """Who holds the permit. One from HTTP is `CLIENT: MODEL`, and clients write long names of themselves."""
    client, colon, rest = holder.rpartition(": ")
    return f"{short_client(client) or 'HTTP'}: {rest}" if colon else holder
