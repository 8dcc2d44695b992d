"""Copying text to the clipboard, also over SSH and inside tmux, and saying honestly what is known of the result.

Two roads. OSC 52 asks the terminal to take the text: it works over SSH, but the terminal never answers, some ignore
it, and most refuse long texts. A tool of the desktop (`pbcopy`, `wl-copy`, `xclip`, `clip.exe`) reports success, but
over SSH it would fill the clipboard of the wrong machine, so it is used only where the person sits at this one.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from npurun_tui import units

OSC_52_LIMIT: Final = 74_994
"""Bytes of text: base64 of more exceeds the 100,000 bytes at which common terminals stop listening."""
SCREEN_CHUNK: Final = 700
"""GNU screen forwards at most 768 bytes of one wrapped sequence."""
TOOL_TIMEOUT: Final = 3.0
"""Seconds; `xclip` without a working display would wait for ever."""


class CopyingApp(Protocol):
    """What of a Textual app is needed here."""

    def copy_to_clipboard(self, text: str) -> None:
        """Keep the text for pasting inside the app, and send a plain OSC 52."""

    def write_to_terminal(self, data: str) -> None:
        """Send an escape sequence past Textual's own drawing."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of the text; `sentence` is for the person."""

    verified: bool
    sentence: str


async def copy(
    app: CopyingApp,
    text: str,
    *,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
) -> Copied:
    """Copy `text` by every road that can reach the person's clipboard. Never raises for a road that fails."""
    data = text.encode("utf-8", "replace")
    fits = len(data) <= OSC_52_LIMIT
    if fits:
        app.copy_to_clipboard(text)
        if wrapped := wrap_osc_52(data, environ):
            app.write_to_terminal(wrapped)
    remote = is_remote(environ)
    tool = None if remote else native_tool(environ, platform)
    amount = units.count(len(text), "character")
    if tool is not None and await _run(tool, data):
        return Copied(True, f"Copied {amount}.")
    if fits:
        return Copied(False, f"Sent {amount} to the terminal's clipboard (it does not confirm).")
    if remote:
        why = "and over SSH there is no other way to your clipboard"
    elif tool is not None:
        why = f"and {Path(tool[0]).name} failed"
    else:
        why = "and there is no clipboard tool on this machine"
    limit = units.size(OSC_52_LIMIT)
    return Copied(False, f"Not copied: {amount} are more than a terminal takes ({limit}), {why}.")


def is_remote(environ: Mapping[str, str]) -> bool:
    """True where the person sits at another machine, whose clipboard only the terminal can reach."""
    return any(environ.get(name) for name in ("SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT"))


def wrap_osc_52(data: bytes, environ: Mapping[str, str]) -> str:
    """OSC 52 wrapped so that tmux or GNU screen hands it on unread; empty where neither is in between.

    It is sent besides the bare sequence: a tmux with `set-clipboard on` takes that one, a tmux with
    `allow-passthrough on` this one, and the text is the same.
    """
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode('ascii')}\x07"
    if environ.get("TMUX"):
        return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        starts = range(0, len(sequence), SCREEN_CHUNK)
        return "".join(f"\x1bP{sequence[start : start + SCREEN_CHUNK]}\x1b\\" for start in starts)
    return ""


def native_tool(environ: Mapping[str, str], platform: str) -> Sequence[str] | None:
    """The command that puts its input on this desktop's clipboard, where there is one."""
    candidates: list[tuple[str, ...]] = []
    if platform == "darwin":
        candidates.append(("pbcopy",))
    elif platform == "win32" or environ.get("WSL_DISTRO_NAME"):
        candidates.append(("clip.exe",))
    if environ.get("WAYLAND_DISPLAY"):
        candidates.append(("wl-copy",))
    if environ.get("DISPLAY"):
        candidates.append(("xclip", "-selection", "clipboard", "-in"))
    for name, *arguments in candidates:
        if found := shutil.which(name, path=environ.get("PATH")):
            return (found, *arguments)
    return None


async def _run(command: Sequence[str], data: bytes) -> bool:
    """Give `data` to the tool; True where it says that it worked."""
    # clip.exe takes UTF-16 with a byte order mark for anything beyond ASCII.
    given = data.decode().encode("utf-16") if command[0].endswith("clip.exe") else data
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(TOOL_TIMEOUT):
            await process.communicate(given)
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0
