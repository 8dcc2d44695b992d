"""Text inside XML and HTML. Models, servers and files choose names, prompts and faults: all of it is hostile."""

from __future__ import annotations

import html
import re
from typing import Final

from npurun_tui.text import REPLACEMENT, printable

# Not characters of XML 1.0 (section 2.2), also as references: lone surrogates and two non-characters. The marks that
# turn the direction are not among those that a terminal has to fear, but here they reach into the text beside them.
_NO_XML: Final = re.compile(r"[\ud800-\udfff\ufffe\uffff\u200e\u200f\u061c]")


def plain(text: str, limit: int = 2000) -> str:
    """`text` as one line that a document may hold, at most `limit` characters long."""
    line = " ".join(printable(text[: limit * 4]).split())
    line = _NO_XML.sub(REPLACEMENT, line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def safe(text: str, limit: int = 2000) -> str:
    """`plain`, escaped for content and for quoted attributes of XML and HTML."""
    return html.escape(plain(text, limit), quote=True)
