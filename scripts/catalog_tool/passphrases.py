"""Where the passphrases of the keys come from: the environment, or a terminal; asked twice where a key is made."""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.catalog_tool.keys import ToolError, locked

PASSPHRASE: Final = "NPURUN_CATALOG_PASSPHRASE"  # noqa: S105 - the name of it, not one
OLD_PASSPHRASE: Final = "NPURUN_CATALOG_OLD_PASSPHRASE"  # noqa: S105
_LONGEST: Final = 1000
"""Bytes; OpenSSL takes some more than that."""


def new_passphrase(environ: Mapping[str, str] = os.environ) -> str:
    """The passphrase for keys that are to be made; never empty.

    Raises:
        ToolError: it is empty or too long, was typed differently the second time, or there is nobody to ask.
    """
    if PASSPHRASE in environ:
        return _fit(environ[PASSPHRASE])
    typed = _fit(_asked("Passphrase for the new keys: ", PASSPHRASE))
    if _asked("The same again: ", PASSPHRASE) != typed:
        raise ToolError("The two passphrases differ, so no key was made.", mend="Try again.")
    return typed


def known_passphrase(
    keys: Path, what: str, names: tuple[str, ...], environ: Mapping[str, str] = os.environ
) -> str:
    """The passphrase of the keys in `keys`, called `what` where it is asked for; empty where they have none.

    `names` are the variables that may hold it, the first one first. Raises ToolError as `new_passphrase`.
    """
    if not locked(keys):
        return ""
    for name in names:
        if value := environ.get(name):
            return _fit(value)
    return _fit(_asked(f"Passphrase of the {what}: ", names[0]))


def _fit(passphrase: str) -> str:
    if not passphrase:
        raise ToolError(
            "The passphrase is empty.", mend="Give one; --no-passphrase makes keys that have none."
        )
    if len(passphrase.encode(errors="surrogateescape")) > _LONGEST:
        raise ToolError(f"The passphrase is longer than {_LONGEST:,} bytes.", mend="Shorten it.")
    return passphrase


def _asked(prompt: str, name: str) -> str:
    try:
        with warnings.catch_warnings():
            # Without a terminal getpass would read, and show, what is typed on stdin.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (EOFError, getpass.GetPassWarning) as error:
        raise ToolError(
            "A passphrase is needed, and there is no terminal to ask for it.",
            mend=f"Set {name}.",
        ) from error
