"""A text box for a folder's path: Tab completes it, as a shell does."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from itertools import takewhile

from textual import work
from textual.binding import Binding
from textual.message import Message

from npurun_tui.widgets.safe_input import SafeInput

_MAX_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Completion:
    """What a path can be completed to: `text` as far as all of `names` agree."""

    text: str
    names: tuple[str, ...] = ()


def complete(text: str, suffixes: tuple[str, ...] = ()) -> Completion:
    """Complete the last part of the path `text` among folders, and files that end with one of `suffixes`. Blocking.

    A `~` at the start stays as it was typed. What cannot be read completes to itself.
    """
    head, tail = os.path.split(text)
    if text == "~":
        return Completion(f"~{os.sep}")
    folder = os.path.expanduser(head) or os.curdir  # noqa: PTH111 - `~nobody` must not raise
    names = sorted(_names(folder, tail, suffixes))
    if not names:
        return Completion(text)
    whole = os.path.join(head, names[0][: max(_agreed(names), len(tail))])  # noqa: PTH118 - text as it was typed
    if len(names) == 1 and os.path.isdir(os.path.join(folder, names[0])):  # noqa: PTH112, PTH118
        whole += os.sep
    return Completion(whole, tuple(names))


def _agreed(names: list[str]) -> int:
    """How many letters all names have in common."""
    letters = zip(*map(os.path.normcase, names), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, letters))


def _names(folder: str, start: str, suffixes: tuple[str, ...]) -> list[str]:
    begins = os.path.normcase(start)
    try:
        with os.scandir(folder) as entries:
            return [
                entry.name
                for entry in entries
                if os.path.normcase(entry.name).startswith(begins)
                and (start.startswith(".") or not entry.name.startswith("."))
                and (entry.is_dir() or entry.name.lower().endswith(suffixes or ("\0",)))
            ]
    except OSError:
        return []


class PathInput(SafeInput):
    """Tab completes; where there is nothing to complete, it moves on as everywhere. Down always moves on: in a folder
    with folders in it there is always something to complete."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("tab", "complete", "Complete", show=False),
        Binding("down", "app.focus_next", "Next line", show=False),
    ]

    @dataclass
    class Completed(Message):
        """The names that the path could go on with; empty where it is whole."""

        names: str

    def action_complete(self) -> None:
        """Complete what stands before the cursor, or go to the next field."""
        if not self.value or self.cursor_position < len(self.value):
            self.screen.focus_next()
        else:
            self._complete(self.value)

    @work(exclusive=True)
    async def _complete(self, text: str) -> None:
        """In a thread: the folder may be on a network drive."""
        found = await asyncio.to_thread(complete, text, (".gguf", ".zip"))
        if self.value != text:
            return  # typed on meanwhile
        several = len(found.names) > 1
        if found.text == text and not several:
            self.screen.focus_next()
            return
        self.value = found.text
        self.cursor_position = len(found.text)
        shown = "  ".join(found.names[:_MAX_SHOWN]) + (
            "  …" if len(found.names) > _MAX_SHOWN else ""
        )
        self.post_message(self.Completed(shown if several else ""))
