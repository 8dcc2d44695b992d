"""AI Hub's API token: where it is found, and how the package `qai_hub` is given it.

The package reads `client.ini` in `.qai_hub` in the home folder, or the file that QAIHUB_CLIENT_INI names, and no other
variable (read in its release 0.56 and in older ones). So a token in QAI_HUB_API_TOKEN is handed over in such a file.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOKEN: Final = "QAI_HUB_API_TOKEN"  # noqa: S105 - the name of a variable
_FILE: Final = "QAIHUB_CLIENT_INI"
_USUAL: Final = "~/.qai_hub/client.ini"
_HUB: Final = "https://workbench.aihub.qualcomm.com"
_LARGEST: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Token:
    """The token, to see that there is one and to keep it out of what is shown; `text` is "" where there is none."""

    text: str
    where: str = ""
    """The variable or file that it is in."""


def find_token(environ: Mapping[str, str]) -> Token:
    """The token that an export would use."""
    if text := environ.get(TOKEN, "").strip():
        return Token(text, TOKEN)
    shown = environ.get(_FILE) or _USUAL
    return Token(_section(shown).get("api_token", "").strip(), shown)


@contextmanager
def handed_over(token: Token, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What has to be added to the environment of the package's process; a file in it is there for that long.

    Raises OSError where no file can be made.
    """
    if token.where != TOKEN:
        yield {}
        return
    old = _section(environ.get(_FILE) or _USUAL)
    parser = configparser.ConfigParser(interpolation=None)
    parser["api"] = {
        "api_token": token.text,
        "api_url": old.get("api_url", _HUB),
        "web_url": old.get("web_url", _HUB),
        "verbose": old.get("verbose", "True"),
    }
    descriptor, name = tempfile.mkstemp(suffix=".ini")  # for its owner's eyes alone
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            parser.write(file)
        yield {_FILE: name}
    finally:
        with suppress(OSError):
            Path(name).unlink()


def _section(path: str) -> dict[str, str]:
    """The `[api]` of such a file; empty where there is none that can be read."""
    file = Path(os.path.expanduser(path))  # noqa: PTH111 - as the package does it
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        if not file.is_file():
            return {}
        with file.open("rb") as stream:
            parser.read_string(stream.read(_LARGEST).decode("utf-8-sig", "replace"))
        return dict(parser["api"])
    except (OSError, configparser.Error, KeyError):
        return {}
