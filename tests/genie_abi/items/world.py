"""What an item of the conformance list works with: the opened library, and a place for what it saw.

Items run under an emulated Python too, which has cffi and this package and nothing else: standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from npurun_tui.engine.genie.library import Library

JSON: TypeAlias = Any
"""What `json` can write; an observation is made of it, so that two runs can be compared."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation and what it should be."""

    label: str
    observed: JSON
    expected: JSON

    @property
    def right(self) -> bool:
        """True where it is what it should be."""
        return bool(self.observed == self.expected)


@dataclass(slots=True)
class World:
    """One run of one item over one library."""

    library: Library
    scratch: Path
    """An empty folder of this item's own."""
    seen: list[Seen] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    """Callbacks and buffers that the library may still use when their maker is done with them."""

    @property
    def ffi(self) -> Any:
        """The library's FFI."""
        return self.library.ffi

    @property
    def api(self) -> tuple[int, int]:
        """The version that the library says it has."""
        return self.library.version[:2]

    def by_api(self, before: JSON, since: JSON, first: tuple[int, int] = (1, 21)) -> JSON:
        """`since` where the library is of `first` or newer, else `before`."""
        return since if self.api >= first else before

    def see(self, label: str, observed: JSON, expected: JSON) -> None:
        """Note what was observed, as JSON knows it (a tuple is a list)."""
        plain = json.loads(json.dumps([observed, expected]))
        self.seen.append(Seen(label, *plain))

    def status(self, label: str, expected: int, name: str, *arguments: Any) -> int:
        """Call `name`, note its status, and give it."""
        status = self.library.status(name, *arguments)
        self.see(label, status, expected)
        return status

    def new(self, kind: str) -> Any:
        """Room for a handle of this kind, with a value in it that no library issued."""
        return self.ffi.new(f"{kind}*", self.ffi.cast(kind, UNTOUCHED))

    def config(self, kind: str, document: JSON) -> Any:
        """A config handle made from a document that must be taken."""
        return self.library.make(
            f"{kind}Config", f"Genie{kind}Config_createFromJson", json.dumps(document).encode()
        )


UNTOUCHED: Final = 0x5A5A5A5A5A5A5A5A
"""What an out-parameter holds before the call."""


@dataclass(frozen=True, slots=True)
class Item:
    """One statement that can be tested without a model."""

    number: str
    words: str
    run: Callable[[World], None]


ITEMS: Final[dict[str, Item]] = {}
"""All items by number, in the list's order."""


def item(number: str, words: str) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Enter the function as the item with this number."""

    def enter(run: Callable[[World], None]) -> Callable[[World], None]:
        assert number not in ITEMS, number
        ITEMS[number] = Item(number, words, run)
        return run

    return enter
