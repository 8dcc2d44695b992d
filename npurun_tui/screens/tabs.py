"""What a tab is to the main screen, and what it may offer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from textual.app import SystemCommand
from textual.widget import Widget


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
