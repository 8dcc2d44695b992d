"""A session as a file: JSON (loadable again), CSV, Markdown, a picture, a report. The suffix chooses.

What makes each of them is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from npurun_tui.errors import UsageError

if TYPE_CHECKING:
    from npurun_tui.bench.compare import Comparison
    from npurun_tui.bench.records import Session

Export = Callable[["Session", "Comparison | None"], str]


def _json(session: Session, comparison: Comparison | None) -> str:
    from npurun_tui.bench.exports.json_export import json_text

    return json_text(session, comparison)


def _csv(session: Session, _comparison: Comparison | None) -> str:
    from npurun_tui.bench.exports.csv_export import csv_text

    return csv_text(session)


def _markdown(session: Session, comparison: Comparison | None) -> str:
    from npurun_tui.bench.exports.markdown import markdown

    return markdown(session, comparison)


def _svg(session: Session, comparison: Comparison | None) -> str:
    from npurun_tui.bench.exports.svg import svg

    return svg(session, comparison)


def _html(session: Session, comparison: Comparison | None) -> str:
    from npurun_tui.bench.exports.html import html

    return html(session, comparison)


EXPORTS: Final[dict[str, Export]] = {
    ".json": _json,
    ".csv": _csv,
    ".md": _markdown,
    ".svg": _svg,
    ".html": _html,
}
"""Text of a session, by the suffix of its file."""


def export(session: Session, path: Path, *, comparison: Comparison | None = None) -> None:
    """Write `session` to `path`, in the form that its suffix names; a file that is there is replaced. Blocking.

    `comparison` with an earlier session goes into all but CSV.

    Raises:
        UsageError: the suffix is none of `EXPORTS`, or the folder is missing.
        DiskFull, ExportFailed: it could not be written; what was there is as it was.
    """
    from npurun_tui.bench.exports.writing import shown, write_export

    make = EXPORTS.get(path.suffix.lower())
    if make is None:
        *first, last = EXPORTS
        raise UsageError(
            f"{shown(path)} does not say what to write.",
            mend=f"Let its name end in {', '.join(first)} or {last}.",
        )
    write_export(path, make(session, comparison))
