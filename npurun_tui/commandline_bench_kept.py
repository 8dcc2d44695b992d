"""`bench history`, `compare`, `export` and `rm`: what can be done with the benches that were kept."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from npurun_tui.chat.fields import whole
from npurun_tui.commandline_values import checked

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

Parsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no other name for it

_WHICH: Final = "its id, the beginning of it, or its number in `bench history` (1 is the newest)"
_FILE: Final = "; or a file: .json or .csv, the Rust program's too"


def add_kept(actions: Parsers[Any]) -> None:
    """Add the four to `bench`'s actions."""
    _add_history(actions)
    _add_compare(actions)
    _add_export(actions)
    _add_rm(actions)


def _add_history(actions: Parsers[Any]) -> None:
    history = actions.add_parser("history", help="the kept benches, the newest first")
    history.add_argument("--model", default="", dest="of_model", metavar="NAME", help="only its")
    history.add_argument(
        "--limit", type=checked(whole(1)), default=50, metavar="N", help="at most N (default 50)"
    )
    history.add_argument("--json", action="store_true", help="JSON on stdout")
    history.set_defaults(command=_history)


def _add_compare(actions: Parsers[Any]) -> None:
    compare = actions.add_parser(
        "compare",
        help="what has changed between two kept benches",
        description="Compares run by run what both have asked. Without NEW, OLD is compared with the one before it "
        "of the same model, and a file with the newest one of its model; without both, the newest is.",
        epilog="Status 0 whatever has changed; with --fail-on-regression 1 where something became slower.",
    )
    compare.add_argument("old", nargs="?", default="", metavar="OLD", help=_WHICH + _FILE)
    compare.add_argument("new", nargs="?", default="", metavar="NEW", help="likewise")
    compare.add_argument(
        "--fail-on-regression",
        action="store_true",
        help="status 1 where a figure became worse by more than 3 %% and the interval excludes chance",
    )
    compare.add_argument("--json", action="store_true", help="JSON on stdout")
    compare.set_defaults(command=_compare)


def _add_export(actions: Parsers[Any]) -> None:
    export = actions.add_parser("export", help="write a kept bench to a file")
    export.add_argument("id", metavar="ID", help=_WHICH)
    export.add_argument(
        "file",
        metavar="FILE",
        help="by its ending: .json, .csv, .md, .svg or .html; - is stdout, as JSON",
    )
    export.add_argument("--force", action="store_true", help="replace a file that is there")
    export.set_defaults(command=_export)


def _add_rm(actions: Parsers[Any]) -> None:
    rm = actions.add_parser("rm", help="forget a kept bench")
    rm.add_argument("id", metavar="ID", help=_WHICH)
    rm.set_defaults(command=_rm)


def _history(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.bench_history import history

    del settings
    return history(paths, options.of_model, options.limit, json=options.json)


def _compare(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.bench_history import compare

    del settings
    return compare(
        paths, options.old, options.new, json=options.json, strict=options.fail_on_regression
    )


def _export(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.bench_history import export

    del settings
    return export(paths, options.id, options.file, force=options.force)


def _rm(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.bench_history import remove

    del settings
    return remove(paths, options.id)
