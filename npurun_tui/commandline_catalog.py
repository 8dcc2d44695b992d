"""`catalog` on the command line: what can be pulled, and the signed lists from elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

P = TypeVar("P", bound=argparse.ArgumentParser)


def add_catalog(commands: argparse._SubParsersAction[P], parser_class: type[P]) -> None:
    """Add `catalog` and its actions to `commands`."""
    catalog = commands.add_parser("catalog", help="what can be pulled; signed lists from elsewhere")
    actions = catalog.add_subparsers(
        title="actions", metavar="ACTION", required=True, parser_class=parser_class
    )
    listing = actions.add_parser("list", help="every model that can be pulled, and every source")
    listing.set_defaults(command=_list)
    update = actions.add_parser(
        "update",
        help="fetch and verify the signed lists",
        epilog="Status 1 where one is refused or cannot be reached; what was verified before stays in use.",
    )
    update.set_defaults(command=_update)
    adding = actions.add_parser(
        "add-source",
        help="trust a signed list",
        description="Its root of trust (root.json) should come from its maintainer by another way than its "
        "address. Without --root it is fetched from there, and the ids of its keys are shown.",
    )
    adding.add_argument("url", metavar="URL", help="the folder in which its metadata/ lies")
    adding.add_argument("--name", default="", help="what it is called here (default: its host)")
    trust = adding.add_mutually_exclusive_group()
    trust.add_argument("--root", type=Path, metavar="FILE", help="its root.json")
    trust.add_argument(
        "--trust-on-first-use", action="store_true", help="believe the fetched root; do not ask"
    )
    adding.set_defaults(command=_add_source)
    removing = actions.add_parser("remove-source", help="forget a signed list and its root")
    removing.add_argument("name", help="what `catalog list` calls it")
    removing.set_defaults(command=_remove_source)
    for action in (listing, update, adding, removing):
        action.add_argument("--json", action="store_true", help="JSON on stdout")


def _list(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.catalog import list_catalog

    del settings
    return list_catalog(paths, json=options.json)


def _update(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.catalog import update

    del settings
    return update(paths, json=options.json)


def _add_source(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.catalog_sources import add

    del settings
    return add(
        paths,
        options.url,
        name=options.name,
        root=options.root,
        trust=options.trust_on_first_use,
        json=options.json,
    )


def _remove_source(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.catalog_sources import remove

    del settings
    return remove(paths, options.name, json=options.json)
