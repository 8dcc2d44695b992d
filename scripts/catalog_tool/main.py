"""The command: init, build, refresh, rotate, check, ship. Exit status 0 done, 1 refused with one sentence on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from npurun_tui.errors import NpurunError
from npurun_tui.files import write_atomic
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.remote.sources import TRUSTED, fault_of_base
from scripts.catalog_tool.checking import check
from scripts.catalog_tool.keys import (
    ONLINE,
    ToolError,
    check_place,
    make_keys,
    root_names,
    root_signers,
)
from scripts.catalog_tool.passphrases import (
    OLD_PASSPHRASE,
    PASSPHRASE,
    known_passphrase,
    new_passphrase,
)
from scripts.catalog_tool.repository import Days, Repository


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except NpurunError as error:
        sys.stderr.write(f"catalog: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"catalog: The system refuses: {error}.\n")
        return 1
    return 0


def _init(options: argparse.Namespace) -> None:
    if not 1 <= options.threshold <= options.root_keys:
        raise ToolError(
            f"{options.root_keys} root keys cannot give {options.threshold} signatures.",
            mend="Choose a smaller --threshold.",
        )
    _repository(options, "").check_new()  # before keys lie about that are of no use
    passphrase = _make_keys(options)
    _repository(options, passphrase).init(options.threshold)
    _say(f"The root of trust is {options.dir / 'root.json'}; {options.keys} has the private keys.")


def _build(options: argparse.Namespace) -> None:
    if options.entries:
        # Read and written again: what is published is what this version understands of it, and nothing else.
        data = options.entries.read_bytes()
        entries = catalog_json.load(data, str(options.entries))
        if catalog_json.left_out(data, str(options.entries)):
            raise ToolError(
                "An entry is of a kind that this version does not know.", mend="Correct it."
            )
    else:
        entries = CATALOG
    version = _repository(options, _passphrase(options)).build(catalog_json.dump(entries))
    _say(f"Version {version} with {len(entries)} entries is signed.")


def _refresh(options: argparse.Namespace) -> None:
    _repository(options, _passphrase(options)).refresh()
    _say("Snapshot and timestamp are signed anew.")


def _rotate(options: argparse.Namespace) -> None:
    if not 1 <= options.threshold <= options.root_keys:
        raise ToolError(
            f"{options.root_keys} root keys cannot give {options.threshold} signatures.",
            mend="Choose a smaller --threshold.",
        )
    # The old keys first: where they cannot be opened no new ones lie about.
    old = known_passphrase(options.old_keys, "old keys", (OLD_PASSPHRASE, PASSPHRASE))
    root_signers(options.old_keys, old)
    made = not (options.keys / "root-1.pem").exists()
    passphrase = _make_keys(options) if made else _passphrase(options)
    _repository(options, passphrase).rotate(options.old_keys, old, options.threshold)
    _say("The new keys are in force; keep the old root keys until everybody has updated.")


def _check(options: argparse.Namespace) -> None:
    for line in check(options.dir):
        _say(line)


def _ship(options: argparse.Namespace) -> None:
    """Have the program trust the catalog in the folder that is published."""
    if fault := fault_of_base(options.url):
        raise ToolError(f"The address {fault}.", mend="Name where DIR is served with --url.")
    check(options.dir)
    root = (options.dir / "root.json").read_bytes()
    write_atomic(TRUSTED / "root.json", root, private=False)
    document = json.dumps({"url": options.url.rstrip("/")}, indent=1) + "\n"
    write_atomic(TRUSTED / "source.json", document.encode(), private=False)
    _say(f"{TRUSTED} has the root and the address; commit them.")


def _make_keys(options: argparse.Namespace) -> str:
    """Make every key; returns their passphrase."""
    names = [*root_names(options.root_keys), *ONLINE]
    check_place(options.keys, options.dir, names)
    passphrase = "" if options.no_passphrase else new_passphrase()
    make_keys(options.keys, options.dir, names, passphrase)
    return passphrase


def _passphrase(options: argparse.Namespace) -> str:
    return known_passphrase(options.keys, "keys", (PASSPHRASE,))


def _repository(options: argparse.Namespace, passphrase: str) -> Repository:
    default = Days()
    days = Days(
        timestamp=getattr(options, "timestamp_days", default.timestamp),
        snapshot=getattr(options, "snapshot_days", default.snapshot),
    )
    return Repository(options.dir, options.keys, passphrase, days)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="catalog",
        description="Make, sign, renew and check a remote catalog.",
        epilog=f"Where there is nobody to ask, {PASSPHRASE} holds the passphrase of --keys, and "
        f"{OLD_PASSPHRASE} that of --old-keys where it is another one.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make keys and the first root of trust")
    build = actions.add_parser("build", help="sign a new version of the list")
    refresh = actions.add_parser("refresh", help="renew the dates of snapshot and timestamp")
    rotate = actions.add_parser("rotate", help="replace every key")
    checking = actions.add_parser("check", help="verify it as the program would")
    shipping = actions.add_parser(
        "ship", help="check it, and put its root and address into the program"
    )
    for action, command in (
        (init, _init),
        (build, _build),
        (refresh, _refresh),
        (rotate, _rotate),
        (checking, _check),
        (shipping, _ship),
    ):
        action.add_argument("dir", type=Path, metavar="DIR", help="the folder that is published")
        action.set_defaults(command=command)
        if action not in {checking, shipping}:
            action.add_argument("--keys", type=Path, required=True, help="the private keys' folder")
    for action in (init, rotate):
        action.add_argument(
            "--no-passphrase", action="store_true", help="make keys that whoever has them can use"
        )
        action.add_argument("--root-keys", type=int, default=3, metavar="N", help="default 3")
        action.add_argument("--threshold", type=int, default=2, metavar="N", help="default 2")
    for action in (build, refresh):
        action.add_argument("--timestamp-days", type=float, default=Days().timestamp, metavar="N")
        action.add_argument("--snapshot-days", type=float, default=Days().snapshot, metavar="N")
    shipping.add_argument("--url", required=True, help="where DIR is served")
    build.add_argument("--entries", type=Path, metavar="FILE", help="default: the built-in list")
    rotate.add_argument("--old-keys", type=Path, required=True, help="the keys that leave")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
