"""What `doctor` found: signs, words and mends, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from npurun_tui.commands.tables import write_line
from npurun_tui.text import one_line


class Sign(StrEnum):
    """How a line is meant."""

    GOOD = "ok"
    NOTICE = "notice"
    FAULT = "fault"


_SIGNS: Final = {Sign.GOOD: "✓", Sign.NOTICE: "!", Sign.FAULT: "✗"}
_PLAIN: Final = {Sign.GOOD: "+", Sign.NOTICE: "!", Sign.FAULT: "x"}
"""For consoles whose code page has no check mark."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    key: str
    """Stable, for programs."""
    label: str
    words: str
    sign: Sign = Sign.GOOD
    mend: str = ""
    """What to do, with the exact command; empty where there is nothing to do."""

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "state": self.sign.value,
            "text": self.words,
            "mend": self.mend or None,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """Findings under a title."""

    key: str
    title: str
    findings: tuple[Finding, ...]


def write_sections(sections: Iterable[Section]) -> None:
    """Every section on stdout."""
    signs = _SIGNS if _can_say("✓✗→") else _PLAIN
    arrow = "→" if signs is _SIGNS else "->"
    for number, section in enumerate(sections):
        if number:
            write_line()
        write_line(section.title)
        width = max((len(finding.label) for finding in section.findings), default=0)
        for finding in section.findings:
            label = one_line(finding.label, 40).ljust(width)
            write_line(f"  {signs[finding.sign]} {label}  {one_line(finding.words, 500)}".rstrip())
            if finding.mend:
                write_line(f"    {' ' * width}  {arrow} {one_line(finding.mend, 500)}")


def _can_say(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
