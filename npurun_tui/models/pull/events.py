"""A pull in Ollama's words: the lines that its `/api/pull` streams, from the same pipeline as every other pull.

Form and order as Ollama's clients expect them: ollama-js fails where the last line has no `"status": "success"`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.pull import Phase, PullProgress, pull
from npurun_tui.models.pull.limiter import RateLimiter
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.pull.recorded import recorded
from npurun_tui.models.store import ModelStore

Event = dict[str, Any]

BEGINNING: Final[Event] = {"status": "pulling manifest"}
"""The first event of each pull."""


async def pull_events(
    entry: CatalogEntry,
    store: ModelStore,
    *,
    policy: Policy | None = None,
    limiter: RateLimiter | None = None,
) -> AsyncGenerator[Event, None]:
    """The events of a pull of `entry`, each one JSON object; closing the generator stops the pull, resumably.

    Sizes are bytes. Raises as `npurun_tui.models.pull.pull`: the caller words errors in its own dialect.
    """
    yield BEGINNING
    said = PullWords(layer_digest(entry, store.root))
    async with aclosing(pull(entry, store, policy=policy, limiter=limiter)) as steps:
        async for progress in steps:
            for event in said.take(progress):
                yield event
    for event in said.closing():
        yield event


def layer_digest(entry: CatalogEntry, root: Path) -> str:
    """`sha256:` and 64 hex digits by which clients tell one layer's bar from another's.

    It is the file's own hash where that is known before the pull, else a hash of its address: an identity, no promise.
    """
    known = recorded(root, str(entry.source))
    digest = entry.source.sha256 or (known.sha256 if known else "")
    return f"sha256:{digest or hashlib.sha256(str(entry.source).encode()).hexdigest()}"


class PullWords:
    """What has been said already: each status comes once, in Ollama's order, and the layer's bar moves between."""

    _CLOSING = ("verifying sha256 digest", "writing manifest")

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._closing = list(self._CLOSING)
        self._downloading = False

    def take(self, progress: PullProgress) -> Iterator[Event]:
        """The events that `progress` makes."""
        if progress.phase is Phase.DOWNLOADING:
            self._downloading = True
            yield self._layer(progress)
        elif progress.phase is Phase.VERIFYING and self._downloading:
            yield from self._up_to("verifying sha256 digest")
        elif progress.phase is Phase.UNPACKING:
            yield from self._up_to("writing manifest")

    def closing(self) -> Iterator[Event]:
        """The events of a pull's good end: those that were not said, as clients count on them also where a phase was
        too short to be seen, and then the last."""
        rest, self._closing = self._closing, []
        for status in (*rest, "success"):
            yield {"status": status}

    def _up_to(self, status: str) -> Iterator[Event]:
        while status in self._closing:
            yield {"status": self._closing.pop(0)}

    def _layer(self, progress: PullProgress) -> Event:
        event: Event = {"status": f"pulling {self._digest[7:19]}", "digest": self._digest}
        if progress.total:
            event["total"] = progress.total
        if progress.done:
            event["completed"] = progress.done
        return event
