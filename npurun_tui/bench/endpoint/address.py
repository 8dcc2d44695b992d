"""An endpoint as a person writes it: `HOST:PORT`, a URL, with or without the dialect's path, with `#MODEL` or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from npurun_tui.attach.http import base_url
from npurun_tui.errors import UsageError
from npurun_tui.text import one_line

Dialect = Literal["openai", "ollama"]

FLAG: Final = "--baseline-token"

_PATHS: Final[tuple[tuple[str, Dialect], ...]] = (
    ("/v1/chat/completions", "openai"),
    ("/v1", "openai"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama"),
    ("/api", "ollama"),
)
"""What people copy from documentation, and what it says of the dialect."""

_HOST_AND_PORT: Final = re.compile(r"[^/#]*:\d+([/#].*)?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is."""

    url: str
    """Without the dialect's path: `http://127.0.0.1:11434`."""
    dialect: Dialect | None = None
    """None: it has to be asked."""
    model: str = ""
    """What it shall answer with, as it calls it; empty where nobody has said."""

    @property
    def where(self) -> str:
        """For people: the URL without its scheme."""
        parts = urlsplit(self.url)
        return one_line(f"{parts.netloc}{parts.path}", 80)


def is_address(text: str) -> bool:
    """Whether `text` means an endpoint; a model's name has neither a scheme nor a port."""
    return "://" in text or "/" in text or _HOST_AND_PORT.fullmatch(text) is not None


def address_of(text: str, *, flag: str = FLAG) -> Address:
    """The endpoint that `text` names.

    Raises:
        UsageError: it names none, or holds a password (`flag` is where a token belongs).
    """
    place, _, model = text.strip().partition("#")
    if "@" in place:
        raise UsageError("An address holds no password.", mend=f"Give the token with {flag}.")
    if "://" not in place and place.startswith("/"):
        raise _no_address(text)
    try:
        url = base_url(place)
    except UsageError as error:
        raise _no_address(text) from error
    for path, dialect in _PATHS:
        if url.endswith(path):
            return Address(url.removesuffix(path).rstrip("/"), dialect, model)
    return Address(url, None, model)


def _no_address(text: str) -> UsageError:
    return UsageError(
        f"{one_line(text, 80)} is not an endpoint's address.",
        mend="Give HOST:PORT or an http(s) URL, with #MODEL behind it where it has several.",
    )
