"""Colours for code: Pygments tokens as style names.

`textual.highlight` is not used because it expands tabs and drops line endings, which moves every offset after
them; copying code exactly needs the offsets. Pygments is imported at the first fence, a lexer at its first use.
A chunk is coloured by itself, so a string that spans two chunks may lose its colour after the border.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from npurun_tui.widgets.transcript.lines import Piece, split_lines

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LONGEST: Final = 1000
"""A chunk with a line of more characters is shown plain: lexers may backtrack badly over it."""

_STYLES: Final = (
    ("Comment.Preproc", "code-keyword"),
    ("Comment", "code-comment"),
    ("Keyword.Constant", "code-number"),
    ("Keyword.Type", "code-type"),
    ("Keyword", "code-keyword"),
    ("Literal.Number", "code-number"),
    ("Literal.String", "code-string"),
    ("Name.Builtin", "code-type"),
    ("Name.Class", "code-name"),
    ("Name.Function", "code-name"),
    ("Name.Decorator", "code-name"),
    ("Name.Tag", "code-keyword"),
    ("Name.Attribute", "code-name"),
    ("Operator.Word", "code-keyword"),
    ("Generic.Heading", "code-name"),
    ("Generic.Deleted", "code-error"),
    ("Generic.Inserted", "code-string"),
    ("Generic.Error", "code-error"),
)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _style(token: object) -> str:
    name = str(token).removeprefix("Token.")
    return next((style for prefix, style in _STYLES if name.startswith(prefix)), "code")


def language_of(info: str) -> str:
    """The language that a fence's info line names (`python title="x"`, `{.py}`), lower case, or nothing."""
    word = info.strip().lstrip("{.").split(maxsplit=1)
    return word[0].rstrip("}").split(",")[0].lower() if word else ""


def highlight(code: str, language: str) -> list[list[Piece]]:
    """`code` in coloured pieces, line by line; the characters are exactly those of `code`."""
    lexer = _lexer(language) if language else None
    if lexer is None or max(map(len, code.split("\n"))) > LONGEST:
        return split_lines([(code, "code")])
    # Many lexers end a comment only at a newline.
    pieces = [(text, _style(token)) for token, text in lexer.get_tokens(f"{code}\n")]
    if sum(len(text) for text, _ in pieces) != len(code) + 1:
        return split_lines([(code, "code")])  # a lexer that normalises its input: offsets would lie
    return split_lines(pieces)[:-1]


def warm() -> None:
    """Import what the first fence needs, so that it does not hold up a key; for a thread."""
    _lexer("python")
