"""Where the Textual style sheets are: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def stylesheets() -> list[Path]:
    """Every `.tcss` file, sorted by name, which is the order in which they apply.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / "styles", _PACKAGE.parent / "styles"):
        if found := sorted(folder.glob("*.tcss")):
            return found
    raise FileNotFoundError(f"no style sheets beside {_PACKAGE}")
