"""From markdown-it tokens to lines.

The token stream is flat, so nesting costs no recursion; containers are margins on the builder's stack. An empty row
is shown where the source has an empty line, inside items and quotes too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from npurun_tui.widgets.transcript.code import highlight, language_of
from npurun_tui.widgets.transcript.inline import inline_pieces
from npurun_tui.widgets.transcript.lines import CODE_BAR, DECORATION, Builder, Margin, Piece, Run
from npurun_tui.widgets.transcript.table import Table, render_table

if TYPE_CHECKING:
    from markdown_it.token import Token

BULLETS: Final = "•◦▪"
QUOTE: Final = Margin("│ ", "│ ", "quote-bar", "> ", "> ")
_CODE: Final = Margin("▎ ", "▎ ", CODE_BAR, "", "")


def code_rows(code: str, language: str, builder: Builder) -> None:
    """Rows of code between a bar and the right edge, copied without the bar."""
    builder.push(_CODE)
    for line in highlight(code, language):
        builder.row(line, code=True, fill="code")
    builder.pop()


class Walker:
    """Goes through the tokens of one block once.

    `ordinal` is the number of the first item where the splitter counted it; `depth` is how deep the block
    stands in lists, which chooses the bullet.
    """

    def __init__(self, builder: Builder, *, ordinal: int | None, depth: int) -> None:
        self._builder = builder
        self._ordinal = ordinal
        self._depth = depth
        self._lists: list[int | None] = []  # per open list: the next number, or nothing for bullets
        self._style = ""
        self._end: int | None = None  # the source line after the last thing shown
        self._table: Table | None = None

    def walk(self, tokens: Iterable[Token]) -> None:
        """Render all tokens."""
        for token in tokens:
            if self._table is not None:
                self._in_table(token, self._table)
            else:
                self._token(token)

    def _token(self, token: Token) -> None:
        match token.type:
            case "inline":
                self._builder.flow(inline_pieces(token.children or (), self._style))
            case "paragraph_open":
                self._gap(token)
            case "heading_open":
                self._gap(token)
                self._style = f"h{min(3, int(token.tag[1:]))}"
            case "heading_close":
                self._style = ""
            case "fence" | "code_block":
                self._gap(token)
                code = token.content.removesuffix("\n")
                code_rows(code, language_of(token.info), self._builder)
            case "hr":
                self._gap(token)
                line = "─" * self._builder.room
                self._builder.newline()
                at = self._builder.mark("---")
                self._builder.fixed([Run("", "", at), Run(line, "border", DECORATION)])
            case "table_open":
                self._gap(token)
                self._table = Table([], [])
            case _:
                self._container(token)

    def _container(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(self._ordinal or int(token.attrs.get("start", 1)))
                self._ordinal = None
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._gap(token)
                self._builder.push(self._label())
            case "blockquote_open":
                self._gap(token)
                self._builder.push(QUOTE)
            case "list_item_close" | "blockquote_close":
                self._builder.pop()

    def _label(self) -> Margin:
        number = self._lists[-1]
        if number is None:
            glyph = BULLETS[min(self._depth + len(self._lists) - 1, len(BULLETS) - 1)]
            return Margin(f"{glyph} ", "  ", "bullet", "- ", "  ")
        self._lists[-1] = number + 1
        label = f"{number}. "
        space = " " * len(label)
        return Margin(label, space, "bullet", label, space)

    def _gap(self, token: Token) -> None:
        start, end = token.map or (0, 0)
        if self._end is not None and start > self._end:
            self._builder.gap()
        container = token.type in {"list_item_open", "blockquote_open"}
        self._end = start if container else end

    def _in_table(self, token: Token, table: Table) -> None:
        match token.type:
            case "tr_open":
                table.rows.append([])
            case "th_open":
                align = str(token.attrs.get("style", "")).removeprefix("text-align:")
                table.aligns.append(align)
            case "inline":
                style = "strong" if len(table.rows) == 1 else ""
                table.rows[-1].append(inline_pieces(token.children or (), style))
            case "table_close":
                self._table = None
                if not render_table(table, self._builder):
                    _as_list(table, self._builder)


def _as_list(table: Table, builder: Builder) -> None:
    """A table whose columns do not fit: each row as lines of `header: cell`."""
    header, *rows = table.rows
    for number, row in enumerate(rows or [header]):
        if number:
            builder.gap()
        for column, cell in enumerate(row):
            name: list[Piece] = header[column] if rows and column < len(header) else []
            builder.flow([*name, (": " if name else "", "strong"), *cell])
