"""One row of the Models tab. Knows no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from npurun_tui.screens.model_facts import Facts, Sections, thousands
from npurun_tui.text import one_line


class Kind(StrEnum):
    """What can be done with a row follows from this."""

    INSTALLED = "installed"
    BROKEN = "broken"
    IMPORTING = "importing"
    PULLING = "pulling"
    QUEUED = "queued"
    PAUSED = "paused"
    FAILED = "failed"
    AVAILABLE = "available"


PULLS: Final = ("Pull", "Resume", "Retry", "Replace")
"""What `ModelRow.pull` may be."""
_ON_ITS_WAY: Final = frozenset({Kind.PULLING, Kind.QUEUED})


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model, in words."""

    name: str
    kind: Kind
    state: str
    size: str
    count: int = 0
    """What `size` says, in bytes, for sorting."""
    runs: str = ""
    """Whether it runs here, with a sign; empty while that is not known."""
    backend: str = ""
    arch: str = ""
    quant: str = ""
    tokens: int = 0
    """The context window."""
    pace: str = ""
    """Speed and time left, of what is on its way."""
    title: str = ""
    progress: str = ""
    """While something is on its way: in lines; while it is paused, how much is here."""
    note: str = ""
    """A sentence: the reason where it is broken or failed, else what the catalog says of it."""
    facts: Facts = ()
    """Label and value, in the order in which they are read."""
    sections: Sections = ()
    on_disk: int = 0
    """Bytes that removing it frees."""
    elsewhere: bool = False
    """Another program works on it."""
    checking: bool = False
    """Its files are being hashed."""
    pull: str = ""
    """What a pull would do, one word of `PULLS`; empty where none can be begun."""
    replaces: bool = False
    """That pull takes the place of what is here: it is broken, damaged, or a new copy of it was begun."""
    part: int = 0
    """Bytes of an unfinished download."""
    command: str = ""
    """What comes next for it, as a command line."""

    @property
    def context(self) -> str:
        """The context window as the table shows it."""
        return thousands(self.tokens)

    @property
    def pullable(self) -> bool:
        """A pull can be begun or gone on with."""
        return bool(self.pull)

    @property
    def damaged(self) -> bool:
        """It is installed, and its files are not what its manifest says."""
        return self.kind is Kind.INSTALLED and self.failed

    @property
    def failed(self) -> bool:
        """Something is wrong with it, and its state says so."""
        return self.state.startswith("✗")

    @property
    def resumable(self) -> bool:
        """A pull of it was begun, and goes on from there."""
        return self.pull in {"Resume", "Retry"}

    @property
    def on_its_way(self) -> bool:
        """A pull of it runs or waits."""
        return self.kind in _ON_ITS_WAY

    @property
    def removable(self) -> bool:
        """Something of it is on the disk, and nothing writes there."""
        here = self.on_disk > 0 or self.kind in {Kind.INSTALLED, Kind.BROKEN}
        busy = self.on_its_way or self.elsewhere or self.kind is Kind.IMPORTING
        return here and not busy

    @property
    def label(self) -> str:
        """The name as it may be shown: a broken model's is whatever its folder is called."""
        return one_line(self.name, 100)

    @property
    def searched(self) -> str:
        """What a filter looks into, in lower case."""
        parts = (self.label, self.title, self.arch, self.quant, self.state, self.backend)
        return " ".join((*parts, self.kind)).lower()
