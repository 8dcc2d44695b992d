"""How large a model's files were when it was installed: a file that was cut since then is found without reading it.

`sizes` in `npurun.json` is ours; the Rust program ignores it, and a manifest without it is compared with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from npurun_tui import units
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.text import one_line

_EDITED: Final = (".json", ".jinja", ".txt", ".md")
"""What people change by hand, so that another size of it is no damage."""


def sizes_of(folder: Path, paths: Iterable[str]) -> dict[str, int]:
    """Path -> bytes of those files in `folder` that nobody edits. Raises OSError."""
    return {
        path: (folder / path).stat().st_size for path in paths if not path.lower().endswith(_EDITED)
    }


def check_sizes(folder: Path, sizes: Mapping[str, int], mend: str) -> None:
    """Compare the files in `folder` with their `sizes`. Raises ModelFileDamaged, which ends with `mend`."""
    for path, expected in sizes.items():
        shown = one_line(str(folder / path), 400)
        try:
            actual = (folder / path).stat().st_size
        except (OSError, ValueError):
            raise ModelFileDamaged(f"The model file {shown} is missing.", mend=mend) from None
        if actual != expected:
            raise ModelFileDamaged(
                f"The model file {shown} has {units.size(actual)} and had {units.size(expected)} when it was "
                f"installed ({actual:,} and {expected:,} bytes).",
                mend=mend,
            )
