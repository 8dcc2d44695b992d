"""The commands that work on the models of this machine: `pull`, `list`, `show`, `rm`, `prune`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeVar

from npurun_tui.commandline_values import checked

if TYPE_CHECKING:
    from npurun_tui.settings import Paths, Settings

P = TypeVar("P", bound=argparse.ArgumentParser)


def add_model_commands(commands: argparse._SubParsersAction[P]) -> None:
    """Add the five to `commands`."""
    _add_pull(commands)
    _add_others(commands)


def _add_pull(commands: argparse._SubParsersAction[P]) -> None:
    pull = commands.add_parser(
        "pull",
        help="download a model (resumes where it was)",
        description="Downloads a model. The same command goes on where an earlier one was stopped.",
    )
    pull.add_argument("name", help="a name from the catalog; `list` shows it")
    pull.add_argument("--force", action="store_true", help="replace an installed model")
    pull.add_argument(
        "--accept-changed",
        action="store_true",
        help="take another file than the one that the first pull recorded",
    )
    pull.add_argument(
        "--connections",
        type=checked(_connections),
        default=4,
        metavar="N",
        help="ranges fetched at once, 1 to 16 (default 4)",
    )
    pull.add_argument(
        "--limit-rate",
        type=checked(_rate),
        default=0,
        metavar="RATE",
        help="at most RATE bytes per second, such as 500k or 2M",
    )
    pull.add_argument(
        "--yes", "-y", action="store_true", help="do not ask where it cannot run on this machine"
    )
    pull.add_argument("--json", action="store_true", help="JSON lines on stdout")
    pull.set_defaults(command=_pull)


def _add_others(commands: argparse._SubParsersAction[P]) -> None:
    listing = commands.add_parser("list", help="the models that are here, and what can be pulled")
    listing.set_defaults(command=_list)

    show = commands.add_parser(
        "show",
        help="what a model is, whether it runs here, where it comes from",
        description="Says what an installed model's manifest holds, or what the catalog knows of one.",
    )
    show.add_argument("name", help="an installed model, or a name from the catalog")
    show.add_argument(
        "--verify",
        action="store_true",
        help="hash an installed model's files and compare; status 1 where one differs",
    )
    show.set_defaults(command=_show)

    rm = commands.add_parser("rm", help="delete a model, or what an unfinished pull of it left")
    rm.add_argument("name", help="an installed or damaged model, or an unfinished download")
    rm.add_argument("--yes", "-y", action="store_true", help="do not ask")
    rm.set_defaults(command=_rm)

    prune = commands.add_parser(
        "prune",
        help="delete what is no model: leftovers of pulls and removals",
        description="Says what it finds, and asks. Unfinished downloads that a pull can go on with are kept.",
    )
    prune.add_argument("--all", action="store_true", help="unfinished downloads too")
    prune.add_argument("--yes", "-y", action="store_true", help="do not ask")
    prune.set_defaults(command=_prune)

    for command in (listing, show, rm, prune):
        command.add_argument("--json", action="store_true", help="JSON on stdout")


def _pull(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.pull import PullRequest, run

    del settings
    request = PullRequest(
        options.name,
        force=options.force,
        accept_changed=options.accept_changed,
        yes=options.yes,
        connections=options.connections,
        limit_rate=options.limit_rate,
    )
    return run(paths, request, as_json=options.json)


def _prune(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.prune import prune

    del settings
    return prune(paths, everything=options.all, yes=options.yes, json=options.json)


def _list(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.listing import list_models

    del settings
    return list_models(paths, json=options.json)


def _show(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.models import show

    del settings
    return show(paths, options.name, json=options.json, verify=options.verify)


def _rm(options: argparse.Namespace, paths: Paths, settings: Settings) -> int:
    from npurun_tui.commands.models import rm

    del settings
    return rm(paths, options.name, yes=options.yes, json=options.json)


def _rate(text: str) -> int:
    from npurun_tui.models.pull.limiter import parse_rate

    return parse_rate(text)


def _connections(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= 16):
        raise ValueError("must be a whole number from 1 to 16")
    return int(text)
