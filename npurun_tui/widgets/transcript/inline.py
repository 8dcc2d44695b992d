"""Inline Markdown as styled pieces.

Links are shown as their text and, where it differs, the address: the reader sees where a link leads, and a terminal
never gets an address to act on. HTML stays text. A soft line break stays a line break, because models write
addresses and verses that way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from npurun_tui.text import one_line, printable
from npurun_tui.widgets.transcript.lines import Piece

if TYPE_CHECKING:
    from markdown_it.token import Token

_OPEN: Final = {"strong_open": "strong", "em_open": "em", "s_open": "strike", "link_open": "link"}
_CLOSE: Final = {"strong_close", "em_close", "s_close", "link_close"}


def inline_pieces(tokens: Iterable[Token], style: str = "") -> list[Piece]:
    """The children of an `inline` token; `style` is what they stand in."""
    pieces: list[Piece] = []
    styles: list[str] = [style] if style else []
    links: list[tuple[str, int]] = []
    for token in tokens:
        kind = token.type
        if kind in _OPEN:
            styles.append(_OPEN[kind])
            if kind == "link_open":
                links.append((str(token.attrs.get("href", "")), len(pieces)))
        elif kind in _CLOSE:
            styles.pop()
            if kind == "link_close":
                pieces.extend(_address(*links.pop(), pieces))
        elif kind in {"softbreak", "hardbreak"}:
            pieces.append(("\n", " ".join(styles)))
        elif kind == "image":
            pieces.append((f"[image: {_safe(token.content)}]", " ".join((*styles, "link"))))
            pieces.extend(_address(str(token.attrs.get("src", "")), len(pieces), pieces))
        else:
            shown = (*styles, "inline-code") if kind == "code_inline" else styles
            pieces.append((_safe(token.content), " ".join(shown)))
    return pieces


def _safe(text: str) -> str:
    # An entity such as `&#x202e;` becomes a character only after the source was made printable.
    return printable(text).replace("\n", " ")


def _address(href: str, first: int, pieces: list[Piece]) -> list[Piece]:
    shown = one_line(href, 300)
    text = "".join(text for text, _ in pieces[first:])
    if not shown or text in {shown, shown.removeprefix("mailto:")}:
        return []
    return [(f" ({shown})", "url")]
