"""A request of the log as a `curl` command that asks the same again.

Everything in it was written by a client, and the command is meant to be pasted into a shell: each part is quoted for a
POSIX shell (`bash`, `zsh`, Git Bash), no control character gets into it, `curl` is told to take nothing of it as a
file's name, and a token is named by its variable, never by its text.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from npurun_tui.storage.requests import RequestRow
from npurun_tui.text import printable

TOKEN: Final = "NPURUN_AUTH_TOKEN"  # noqa: S105 - the variable's name
ADMIN_TOKEN: Final = "NPURUN_ADMIN_TOKEN"  # noqa: S105 - the variable's name

LONGEST: Final = 100_000
"""Bytes of a body that stand in the command itself. Linux takes 128 KiB in one argument."""

_ADMIN_PATHS: Final = ("/api/pull", "/api/delete", "/api/copy")
_IN_PATHS: Final = "/:@-._~!$&'()*+,;="
_BODY_FILE: Final = "@body.json"
_METHOD: Final = re.compile(r"[A-Z]{1,20}")


@dataclass(frozen=True, slots=True)
class Replay:
    """The command, over several lines, and a sentence about it (mostly empty)."""

    command: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """The server that is to be asked."""

    url: str
    token: bool = False
    """It asks for a token."""
    admin_token: bool = False
    """It asks for another one where models are changed."""
    cert: Path | None = None
    """Its own certificate, which no authority need have signed."""


def curl_of(row: RequestRow, target: Target) -> Replay:
    """The command for `row`. The query of its address is not in the log, and so not in the command."""
    parts = ["curl -sS" + (" -N" if row.stream else ""), *_method(row)]
    if "/." in row.path:
        parts.append("--path-as-is")
    if target.cert is not None:
        parts.append(f"--cacert {shlex.quote(str(target.cert))}")
    if token := _token(row, target):
        parts.append(f'-H "Authorization: Bearer ${token}"')
    data, note = _data(row)
    if data:
        parts += ["-H 'Content-Type: application/json'", data]
    parts.append(shlex.quote(target.url + quote(row.path, safe=_IN_PATHS, encoding="latin-1")))
    return Replay(" \\\n  ".join(parts), note)


def _method(row: RequestRow) -> list[str]:
    """As `curl` has it: a GET, and a POST with a body, need not be said."""
    if row.method == "HEAD":
        return ["--head"]
    if row.method == "GET" or (row.method == "POST" and row.request_bytes):
        return []
    # A method that is no word of letters was refused by the server; asking with it again is of no use.
    return [f"-X {row.method}"] if _METHOD.fullmatch(row.method) else []


def _token(row: RequestRow, target: Target) -> str:
    if target.admin_token and row.path in _ADMIN_PATHS:
        return ADMIN_TOKEN
    return TOKEN if target.token else ""


def _data(row: RequestRow) -> tuple[str, str]:
    """`curl`'s words for the body, and why it is not in them."""
    if not row.request_bytes:
        return "", ""
    reason = ""
    if row.body is None:
        reason = "Bodies are kept only while prompts are logged"
    elif len(row.body) > LONGEST:
        reason = "The body is too long for a command line"
    elif (text := _as_text(row.body)) is None:
        reason = "The body is no text that a terminal could take"
    else:
        return f"--data-raw {shlex.quote(text)}", ""
    return f"--data-binary {_BODY_FILE}", f"{reason}: put one into the file body.json."


def _as_text(body: bytes) -> str | None:
    """The body as it can be pasted, meaning the same; None where it cannot."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    text = text.replace("\r", " ")  # JSON has it only between its parts
    if printable(text) == text:
        return text
    if text.lstrip()[:1] not in ("{", "["):
        return None
    # In JSON these stand only inside of strings, where an escape means the same; where they did not, it was no JSON.
    return "".join(c if printable(c) == c else f"\\u{ord(c):04x}" for c in text)
