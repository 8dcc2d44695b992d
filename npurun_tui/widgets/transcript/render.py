"""A block at a width: from source to lines.

Each block is parsed as a small Markdown document by markdown-it (Textual brings it along); HTML, link definitions
and setext headings are switched off, so that nothing of the text can disappear. Input that would make the parser
slow (thousands of brackets, quotes in quotes in quotes) is shown as it is written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from npurun_tui.text import printable
from npurun_tui.widgets.transcript.blocks import Block, Kind, code_of, dedent
from npurun_tui.widgets.transcript.code import language_of
from npurun_tui.widgets.transcript.inline import inline_pieces
from npurun_tui.widgets.transcript.lines import CODE_BAR, DECORATION, Builder, Margin, Rendered, Run
from npurun_tui.widgets.transcript.walker import QUOTE, Walker, code_rows

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MOST_INDENT: Final = 24
_TOO_DEEP: Final = re.compile(
    r"^[ \t]*(?:(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])[ \t]*){9}", re.MULTILINE
)
_RULE: Final = re.compile(r"[ \t]*([-*_])[ \t]*(?:\1[ \t]*){2,}\Z")
_NOISE: Final = re.compile(r"[\[\]`*_<!&~]")
_MOST_NOISE: Final = 400


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser, made at the first message (20 ms with its import)."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 50})
    markdown.enable(["table", "strikethrough"])
    markdown.disable(["reference", "lheading", "html_block", "html_inline"])
    return markdown


def render(block: Block, width: int) -> Rendered:
    """The lines of `block` at `width` cells, none wider."""
    builder = Builder(width)
    indent = min(block.indent, _MOST_INDENT, width // 3)
    if indent:
        space = " " * indent
        copied = "" if block.kind is Kind.FENCE else space
        builder.push(Margin(space, space, "", copied, copied))
    if block.kind is Kind.FENCE:
        _fence(block, builder)
    elif block.kind is Kind.PLAIN:
        _plain(_body(block), builder)
    else:
        _markdown(block, builder)
    return builder.finish()


def _body(block: Block) -> str:
    """The source, printable, without what does not show."""
    body = printable(block.body)
    return body.removesuffix("\n")


def _plain(text: str, builder: Builder) -> None:
    for line in text.split("\n"):
        builder.row([(line.replace("\t", "    "), "")])


def _fence(block: Block, builder: Builder) -> None:
    code = printable(code_of(block))
    language = language_of(printable(block.info))
    if block.opens and language:
        label = [Run("▎ ", CODE_BAR, DECORATION), Run(language, "code-label", DECORATION)]
        builder.fixed(label, fill="code")
    empty = not code and (block.closes or block.source.count("\n") < 2)
    if not empty:
        code_rows(code, language, builder)


def _markdown(block: Block, builder: Builder) -> None:
    body = _body(block)
    if not body.strip():
        return
    if _hostile(body):
        _plain(body, builder)
        return
    lines = body.split("\n")
    if block.dedent:
        skip = 1 if block.middle else 0
        lines[skip:] = [dedent(line, block.dedent) for line in lines[skip:]]
    text = "\n".join(lines)
    if block.middle:
        if block.kind is Kind.QUOTE:
            builder.push(QUOTE)
        (token,) = parser().parseInline(text.strip())
        builder.flow(inline_pieces(token.children or ()))
        return
    walker = Walker(builder, ordinal=block.ordinal, depth=block.depth)
    walker.walk(parser().parse(printable(block.context) + text))


def _hostile(text: str) -> bool:
    if len(_NOISE.findall(text)) > _MOST_NOISE:
        return True
    match = _TOO_DEEP.search(text)
    return match is not None and _RULE.match(text) is None
