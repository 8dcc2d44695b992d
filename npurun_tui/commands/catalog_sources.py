"""`catalog add-source` and `catalog remove-source`: whom this user trusts."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from npurun_tui.commands.asking import agreed
from npurun_tui.commands.tables import write_json, write_line
from npurun_tui.errors import UsageError
from npurun_tui.models.remote.faults import SourceInvalid
from npurun_tui.models.remote.sources import (
    add_source,
    fault_of_base,
    fault_of_source_name,
    read_root,
    remove_source,
)
from npurun_tui.models.remote.updating import fetch_root, verify_root
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9._-]+")


def add(paths: Paths, url: str, *, name: str, root: Path | None, trust: bool, json: bool) -> int:
    """Trust the catalog at `url` as its root of trust says: the file `root`, or, asked for, what `url` offers.

    Raises:
        SourceInvalid: the name, the address or the file cannot be used.
        CatalogError: the root cannot be fetched, or is not signed by its own keys.
        UsageError: nobody confirmed a fetched root, and there is nobody to ask.
    """
    if fault := fault_of_base(url):
        # Not repeated in the sentence: it may have a password in it.
        raise UsageError(f"The address {fault}.", mend="Name an https address.")
    name = name or _name_of(url)
    if fault := fault_of_source_name(name):
        raise UsageError(
            f"{one_line(repr(name), 80)} cannot be a catalog's name: it {fault}.",
            mend="Choose another with --name.",
        )
    if root is None and not trust and not sys.stdin.isatty():
        raise UsageError(
            "Its root of trust has to be confirmed, and there is no terminal.",
            mend="Name it with --root FILE, or add --trust-on-first-use.",
        )
    data = read_root(root) if root else fetch_root(url)
    roles = verify_root(data)
    threshold, keys = roles["root"]
    if root is None:
        sys.stderr.write(f"The root of {one_line(url, 200)} asks for {threshold} of these keys:\n")
        sys.stderr.writelines(f"  {one_line(key, 80)}\n" for key in keys)
        if not trust and not _confirmed():
            sys.stderr.write("Nothing was added.\n")
            return 1
    try:
        source = add_source(paths, name, url, data)
    except OSError as error:
        raise _unwritten(error) from error
    if json:
        write_json(
            {"name": name, "url": source.url, "threshold": threshold, "root_keys": list(keys)}
        )
    else:
        write_line(f"{name} is trusted now; `npurun-tui catalog update` fetches its list.")
    return 0


def remove(paths: Paths, name: str, *, json: bool) -> int:
    """Forget the catalog `name`.

    Raises:
        SourceInvalid: none of this name was added, or it cannot be removed.
    """
    try:
        source = remove_source(paths, name)
    except OSError as error:
        raise _unwritten(error) from error
    if json:
        write_json({"name": source.name, "url": source.url})
    else:
        write_line(f"{source.name} is no longer trusted; models that are here stay.")
    return 0


def _name_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return _NOT_IN_A_NAME.sub("-", host.lower()).strip("-.")


def _confirmed() -> bool:
    return agreed("Compare them with what its maintainer says. Trust them?")


def _unwritten(error: OSError) -> SourceInvalid:
    why = error.strerror or str(error)
    where = f"Look at the rights of {one_line(str(error.filename), 300)}." if error.filename else ""
    return SourceInvalid(f"The list of catalogs cannot be changed: {one_line(why)}.", mend=where)
