"""Why a remote catalog is not taken: one class for each reason, since each has another mend."""

from __future__ import annotations

from typing import ClassVar, Final

from npurun_tui.errors import NpurunError

ASK_MAINTAINER: Final = "Try again later; where it stays so, tell whoever maintains this catalog."


class CatalogError(NpurunError):
    """Something about a remote catalog. `kind` is the reason in one word, for programs."""

    kind: ClassVar[str] = "failed"


class CatalogTampered(CatalogError):
    """What the server sent is not what the trusted keys signed."""

    kind = "tampered"


class CatalogExpired(CatalogError):
    """The newest that the server has is past its date: it is neglected, or somebody withholds newer ones."""

    kind = "expired"


class CatalogRolledBack(CatalogError):
    """The server offers something older than what was seen before."""

    kind = "rolled_back"


class CatalogMixed(CatalogError):
    """The server's files are of different versions."""

    kind = "mixed"


class CatalogTooLarge(CatalogError):
    """A file is larger than it may be."""

    kind = "too_large"


class CatalogOffline(CatalogError):
    """There is no answer, or none in time."""

    kind = "offline"


class CatalogUnusable(CatalogError):
    """It is signed well, and still not a list that this version can use."""

    kind = "unusable"


class SourceInvalid(CatalogError):
    """A configured source cannot be meant: its name, its address, its root of trust, or the file they stand in."""

    kind = "source"
