"""`prune`: delete what is no model, after saying what that is."""

from __future__ import annotations

import sys

from npurun_tui import units
from npurun_tui.commands.asking import agreed
from npurun_tui.commands.tables import write_json, write_line
from npurun_tui.errors import ModelBusy, UsageError
from npurun_tui.models.prune import Leftover, leftovers, remove_leftover
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line


def prune(paths: Paths, *, everything: bool, yes: bool, json: bool) -> int:
    """Delete leftovers; unfinished downloads that can be gone on with only where `everything` is asked for.

    Raises:
        UsageError: it was not confirmed, and there is nobody to ask.
        ModelError: something could not be deleted.
    """
    store = ModelStore(paths.models)
    found = leftovers(store, {entry.name for entry in known_catalog(paths)})
    doomed = [each for each in found if everything or not each.resumable]
    kept = [each for each in found if each not in doomed]
    if not json:
        _tell(doomed, kept)
    if doomed and not yes and not _confirmed():
        sys.stderr.write("Nothing was removed.\n")
        return 1
    removed, busy, freed = [], [], 0
    for each in doomed:
        try:
            freed += remove_leftover(store, each)
        except ModelBusy as error:
            busy.append(each)
            sys.stderr.write(f"{_name(each)} is left alone: {one_line(str(error), 300)}\n")
        else:
            removed.append(each)
    if json:
        lists = {"removed": removed, "busy": busy, "kept": kept}
        names = {key: [each.label for each in found] for key, found in lists.items()}
        write_json({**names, "freed": freed})
    elif removed:
        write_line(f"{units.size(freed)} are free again.")
    return 0


def _name(leftover: Leftover) -> str:
    return one_line(leftover.name or leftover.path.name, 60)


def _tell(doomed: list[Leftover], kept: list[Leftover]) -> None:
    if not doomed:
        write_line("There is nothing to remove.")
    for each in doomed:
        write_line(f"{_name(each)}: {each.what}, {units.size(each.size)}")
    for each in kept:
        write_line(
            f"{each.name}: {each.what}, {units.size(each.size)}; kept, `--all` removes it too"
        )


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "prune asks before it deletes, and there is no terminal.", mend="Add --yes."
        )
    return agreed("Remove this?")
