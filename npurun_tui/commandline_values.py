"""Values on the command line, with errors that say what they must be."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` for argparse, which hides the text of a ValueError."""

    def check(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} {error}") from None

    return check


def add_server_flags(command: argparse.ArgumentParser, where: str, whose: str) -> None:
    """`--addr` and `--auth-token` for a command that asks a running server; `where` and `whose` explain them."""
    command.add_argument(
        "--addr",
        default=os.environ.get("NPURUN_SERVE_ADDR", ""),
        metavar="HOST:PORT|URL",
        help=where,
    )
    command.add_argument(
        "--auth-token",
        default=os.environ.get("NPURUN_AUTH_TOKEN", ""),
        metavar="TOKEN",
        help=f"{whose} token (default: $NPURUN_AUTH_TOKEN)",
    )
