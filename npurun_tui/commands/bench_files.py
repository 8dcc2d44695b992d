"""Whether a bench can be written where somebody wants it, asked before there is one to lose."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from npurun_tui.bench.exports.writing import check_folder, shown
from npurun_tui.errors import UsageError

REPORTS: Final = (".html", ".svg")


def check_export(path: Path, endings: Collection[str], *, force: bool) -> None:
    """Refuse a path that cannot be written to.

    Raises:
        UsageError: its ending is none of `endings`, its folder is missing, or, without `force`, the file is there.
    """
    if path.suffix.lower() not in endings:
        *first, last = endings
        raise UsageError(
            f"{shown(path)} does not say what to write.",
            mend=f"Let its name end in {', '.join(first)} or {last}.",
        )
    check_folder(path)
    if path.exists() and not force:
        raise UsageError(f"{shown(path)} is there already.", mend="--force replaces it.")
