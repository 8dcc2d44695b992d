"""Text from models, files and servers, made safe for a terminal.

Model output is hostile input: an escape sequence in it could retitle the window, write to the clipboard
or hide what was said. Nothing here changes what is stored; it changes what is shown.
"""

from __future__ import annotations

import re
from typing import Final

# C0 without \t and \n, DEL, C1; and the bidirectional overrides that can make text read as other text.
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

REPLACEMENT: Final = "\ufffd"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # the "control pictures" block: ESC becomes a printable ␛
    return "\u2421" if code == 0x7F else REPLACEMENT


def printable(text: str) -> str:
    """`text` with every control character replaced by a visible sign; tab and newline stay.

    CR LF becomes LF; a lone CR, which would overwrite its own line, becomes visible.
    """
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters (an ellipsis marks a cut)."""
    line = " ".join(printable(text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
