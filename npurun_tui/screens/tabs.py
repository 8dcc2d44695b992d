"""What a tab is to the main screen, and what it may offer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from textual.app import SystemCommand
from textual.widget import Widget

from npurun_tui.text import one_line


@dataclass(frozen=True, slots=True)
class TabSpec:
    """One tab. `make` runs on the first visit and imports what only this tab needs."""

    id: str
    title: str
    make: Callable[[], Widget]


@runtime_checkable
class Focusing(Protocol):
    """A pane that knows which of its parts should have the keyboard when it is shown."""

    def focus_main(self) -> None:
        """Give the keyboard to the pane's main part."""


@runtime_checkable
class Commanding(Protocol):
    """A pane with commands of its own for the command palette."""

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The commands that can be used right now."""


@runtime_checkable
class ModelUser(Protocol):
    """A pane that works with one chosen model."""

    def use_model(self, name: str) -> None:
        """Work with the installed model of that name from now on."""


def plain_command(command: SystemCommand) -> SystemCommand:
    """The command with its texts as they are: the palette reads markup, in which a folder's name could be a link."""
    return command._replace(title=_unmarked(command.title), help=_unmarked(command.help))


def _unmarked(text: str) -> str:
    # Not `textual.markup.escape`, which leaves some brackets alone. Markup has no way to write backslashes before
    # a bracket, so they are shown as a sign that looks like them.
    return re.sub(r"(\\*)\[", lambda match: "\N{SET MINUS}" * len(match[1]) + "\\[", one_line(text))
