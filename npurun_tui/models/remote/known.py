"""Every model that can be pulled, as far as this machine knows: the built-in list and the verified remote ones.

Quick, offline, and never failing: whatever is wrong with a remote catalog goes to the log and the built-in list is
there all the same.
"""

from __future__ import annotations

import logging

from npurun_tui.errors import NpurunError
from npurun_tui.models import builtin
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.remote.sources import all_sources
from npurun_tui.models.remote.stored import SourceState, read_state
from npurun_tui.settings import Paths

_log = logging.getLogger(__name__)


def known_catalog(paths: Paths) -> tuple[CatalogEntry, ...]:
    """The built-in list, then what the sources have beside it, each entry with its catalog's name.

    A name of the built-in list is replaced only by the source that ships with the program; of two other sources
    with one name, the one that was added first has it. Blocking: reads a small file, and two for each source.
    """
    entries = {entry.name: entry for entry in builtin.CATALOG}
    for state in source_states(paths):
        for entry in state.entries:
            if entry.name not in entries or state.source.builtin:
                entries[entry.name] = entry
            else:
                _log.info("%s of the catalog %s is known already", entry.name, entry.catalog)
    return tuple(entries.values())


def source_states(paths: Paths) -> tuple[SourceState, ...]:
    """How each source stands, the built-in one first. Blocking as `known_catalog`; none where the list is broken."""
    try:
        sources = all_sources(paths)
    except NpurunError as error:
        _log.warning("No remote catalog is used: %s", error)
        return ()
    return tuple(read_state(paths, source) for source in sources)
