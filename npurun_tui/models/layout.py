"""Where things lie below the models' folder. Everything but the models themselves is hidden from `list`.

    <root>/<model>/               an installed model
    <root>/.partial/<model>/      what a pull has fetched so far, its state, and what it unpacks
    <root>/.partial/<model>.lock  the lock of that model
    <root>/.trash/                what is being deleted

All of it is on one volume, so that a rename is atomic. Names must have passed `names.normalise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PART: Final = "download.part"
"""In the folder of an unfinished pull: what it has fetched so far."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one models' folder. Nothing is created by asking for it."""

    root: Path

    @property
    def partial_root(self) -> Path:
        """The folder of unfinished pulls and of the locks."""
        return self.root / ".partial"

    @property
    def trash(self) -> Path:
        """What a removal moves aside before it deletes."""
        return self.root / ".trash"

    def model(self, name: str) -> Path:
        """The folder of an installed model."""
        return self.root / name

    def partial(self, name: str) -> Path:
        """The folder of an unfinished pull."""
        return self.partial_root / name
