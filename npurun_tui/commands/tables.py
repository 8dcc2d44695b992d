"""Plain text for stdout: aligned columns and labelled facts, no colours, fit for 80 columns and for `grep`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def write_line(text: str = "") -> None:
    """One line on stdout."""
    sys.stdout.write(f"{text}\n")


def write_json(document: object) -> None:
    """One JSON document on stdout, for programs; the text is ASCII, so that every console can take it."""
    write_line(json.dumps(document, indent=2))


def write_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> None:
    """`rows` under `heads`. `right` names, by their letters a, b, c…, the columns that are flush right."""
    lines = [heads, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    flush = {ord(letter) - ord("a") for letter in right}
    for line in lines:
        cells = [
            cell.rjust(width) if i in flush else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        write_line("  ".join(cells).rstrip())


def write_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Labelled values, one to a line; empty values are left out."""
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        if value:
            write_line(f"{label.rjust(width)}  {value}")
