"""A pull in Ollama's words: the lines that its `/api/pull` streams, from the same pipeline as every other pull.

Form and order as Ollama's clients expect them: ollama-js fails where the last line has no `"status": "success"`, and
the loop that ollama-python's own example shows makes a layer's bar at its first `total` and breaks at a `completed`
that comes before one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull.progress import Phase, PullProgress
from npurun_tui.models.pull.recorded import recorded

Event = dict[str, Any]

BEGINNING: Final[Event] = {"status": "pulling manifest"}
"""The first event of each pull."""


def layer_digest(entry: CatalogEntry, root: Path) -> str:
    """`sha256:` and 64 hex digits by which clients tell one layer's bar from another's.

    It is the file's own hash where that is known before the pull, else a hash of its address: an identity, no promise.
    """
    known = recorded(root, str(entry.source))
    digest = entry.source.sha256 or (known.sha256 if known else "")
    return f"sha256:{digest or hashlib.sha256(str(entry.source).encode()).hexdigest()}"


class PullWords:
    """What has been said already: each status comes once, in Ollama's order, and the layer's bar moves between.

    The bar never goes back, though a pull may have to begin anew: it waits there until as much has come again. It is
    full before what follows is said, also of a model that is here already or came too quickly to be seen. Sizes are
    bytes.
    """

    _CLOSING = ("verifying sha256 digest", "writing manifest")

    def __init__(self, digest: str, size: int = 0) -> None:
        """`size` is the layer's, where it is known beforehand."""
        self._digest = digest
        self._closing = list(self._CLOSING)
        self._downloading = self._full = False
        self._total = size
        """Of the layer, as was said last; 0 where nobody knows it."""
        self._done = 0

    def take(self, progress: PullProgress) -> Iterator[Event]:
        """The events that `progress` makes."""
        if progress.phase is Phase.DOWNLOADING:
            self._downloading = True
            yield self._layer(progress.done, progress.total or self._total)
        elif progress.phase is Phase.VERIFYING and self._downloading:
            yield from self._up_to("verifying sha256 digest", progress.total or 0)
        elif progress.phase is Phase.UNPACKING:
            yield from self._up_to("writing manifest")

    def closing(self) -> Iterator[Event]:
        """The events of a pull's good end: those that were not said, as clients count on them also where a phase was
        too short to be seen, and then the last."""
        yield from self._up_to(self._CLOSING[-1])
        yield {"status": "success"}

    def _up_to(self, status: str, total: int = 0) -> Iterator[Event]:
        total = total or self._total
        if not self._full and (self._done < total or not self._downloading):
            yield self._layer(total, total)
        self._full = True
        while status in self._closing:
            yield {"status": self._closing.pop(0)}

    def _layer(self, done: int, total: int) -> Event:
        """Where the bar is; another total is another file, whose bar begins anew."""
        kept = self._done if total == self._total else 0
        self._total, self._done = total, min(max(done, kept), total)
        event: Event = {"status": f"pulling {self._digest[7:19]}", "digest": self._digest}
        if total:
            event["total"] = total
        if self._done:
            event["completed"] = self._done
        return event
