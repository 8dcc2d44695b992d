"""The renderer: what lines look like, how wide they are, and what a selection of them copies."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.text import printable
from npurun_tui.widgets.transcript import render as render_module
from npurun_tui.widgets.transcript.blocks import Block, Splitter
from npurun_tui.widgets.transcript.code import highlight, language_of
from npurun_tui.widgets.transcript.lines import DECORATION, Rendered
from npurun_tui.widgets.transcript.render import render
from npurun_tui.widgets.transcript.wrapping import cells, fold, wrap
from tests.support.work import assert_all_end, counted, steps


def blocks_of(text: str, *, plain: bool = False) -> list[Block]:
    splitter = Splitter(plain=plain)
    splitter.feed(text)
    splitter.close()
    return splitter.blocks


def looks(text: str, width: int = 40, *, plain: bool = False) -> list[str]:
    rows: list[str] = []
    for block in blocks_of(text, plain=plain):
        rows += [""] * block.gap
        rows += [line.plain.rstrip() for line in render(block, width).lines]
    return rows


def copied(text: str, width: int = 40, *, plain: bool = False) -> str:
    return "".join(b.joint + render(b, width).text for b in blocks_of(text, plain=plain))


def check_offsets(rendered: Rendered) -> None:
    """Every run that is not decoration shows the characters of the logical text that it says it shows."""
    for line in rendered.lines:
        for run in line.runs:
            if run.at != DECORATION:
                text = rendered.text[run.at : run.at + len(run.text)]
                signs = run.style in {"bullet", "quote-bar"}
                assert run.text.replace(" ", "\t") == text.replace(" ", "\t") or signs


anything = st.text(max_size=600) | st.lists(
    st.sampled_from(
        [
            "# h",
            "- a",
            "  - b",
            "1. c",
            "> q",
            "> > r",
            "```py",
            "```",
            "|a|b|",
            "|-|-|",
            "|日本|x|",
            "",
            "**bold** `code`",
            "[l](http://x)",
            "word " * 40,
            "    code",
            "👩‍👩‍👧🎉",
            "\ttab\tbed",
        ]
    ),
    max_size=30,
).map("\n".join)


@given(anything, st.integers(8, 100))
@settings(deadline=None, max_examples=200)
def test_no_line_is_wider_than_the_width(text: str, width: int) -> None:
    for block in blocks_of(text):
        rendered = render(block, width)
        for line in rendered.lines:
            assert cells(line.plain) <= max(width, 8)
            assert "\n" not in line.plain
        check_offsets(rendered)


@given(st.text(max_size=300), st.integers(1, 60))
@settings(deadline=None)
def test_wrapping_loses_only_spaces(text: str, width: int) -> None:
    line = " ".join(printable(text).split())
    pieces = wrap(line, width)
    assert "".join(line[a:b] for a, b in pieces).replace(" ", "") == line.replace(" ", "")
    assert all(cells(line[a:b]) <= max(width, 2) for a, b in pieces)


@given(st.text(alphabet="ab 日👍é", max_size=100), st.integers(2, 20))
@settings(deadline=None)
def test_folding_loses_nothing(text: str, width: int) -> None:
    assert "".join(text[a:b] for a, b in fold(text, width)) == text
    assert all(cells(text[a:b]) <= width for a, b in fold(text, width))


def test_wrapped_prose_is_copied_as_one_line() -> None:
    text = "A paragraph that is long enough to be wrapped twice at the width of this test."
    assert len(looks(text, 30)) == 3
    assert copied(text, 30) == text


def test_code_is_copied_exactly() -> None:
    code = "def f():\n\treturn 'a long line that is folded at the edge'\n\n    # end  "
    rows = looks(f"```python\n{code}\n```", 30)
    assert rows[0] == "▎ python"
    assert rows[2].startswith("▎     return")
    assert len(rows) == 6
    assert copied(f"```python\n{code}\n```", 30) == code


def test_lists_keep_their_shape_and_numbers() -> None:
    text = "1. one\n1. two words that wrap around\n   - nested\n     more\n\n   paragraph\n1. three"
    assert looks(text, 20) == [
        "1. one",
        "2. two words that",
        "   wrap around",
        "   ◦ nested",
        "     more",
        "",
        "   paragraph",
        "3. three",
    ]
    assert copied("- a\n- b\n  - c") == "- a\n- b\n  - c"


def test_inline_styles_are_styles_and_not_characters() -> None:
    (block,) = blocks_of("**bold _both_** ~~gone~~ `code` [text](https://x.org) <https://y.org>")
    runs = [(r.text, r.style) for line in render(block, 99).lines for r in line.runs]
    assert runs == [
        ("bold ", "strong"),
        ("both", "strong em"),
        (" ", ""),
        ("gone", "strike"),
        (" ", ""),
        ("code", "inline-code"),
        (" ", ""),
        ("text", "link"),
        (" (https://x.org)", "url"),
        (" ", ""),
        ("https://y.org", "link"),
    ]


def test_quotes_have_a_bar_on_every_line() -> None:
    assert looks("> a quote that wraps\n>\n> - item", 14) == [
        "│ a quote that",
        "│ wraps",
        "│",
        "│ • item",
    ]


def test_tables_fit_the_width_and_are_copied_by_tabs() -> None:
    text = "|Name|What it does|\n|-|-:|\n|日本|a long description that wraps|\n|b|2|"
    assert looks(text, 24) == [
        "Name │      What it does",
        "─────┼──────────────────",
        "日本 │            a long",
        "     │  description that",
        "     │             wraps",
        "b    │                 2",
    ]
    assert copied(text, 24) == "Name\tWhat it does\n日本\ta long description that wraps\nb\t2"


def test_a_table_too_wide_for_columns_becomes_lines() -> None:
    text = "|a|b|c|d|\n|-|-|-|-|\n|1|2|3|4|"
    assert looks(text, 12) == ["a: 1", "b: 2", "c: 3", "d: 4"]


@pytest.mark.parametrize(
    "text",
    [
        "[ref]: http://example.org",
        "<div onclick='x'>html</div>",
        "<!-- comment -->",
        "Title\n===",
        "[red]markup[/red] [@click=app.quit]no[/]",
        "> " * 30 + "deep",
        "- " * 30 + "deep",
        "[" * 900 + "text",
        "&#x202e;&#27;",
    ],
)
def test_nothing_of_the_text_disappears(text: str) -> None:
    shown = "".join(looks(text, 100))
    for word in ("http://example.org", "html", "comment", "===", "[red]", "@click", "deep", "text"):
        assert (word in text) == (word in shown)


def test_control_characters_are_made_visible() -> None:
    text = "a\x1b[31mb\x00\u202ec `\x1b]0;t\x07` &#x202e;\n\n```\n\x1b[2J\x9b\n```\n"
    shown = "\n".join(looks(text))
    assert not set(shown) & set("\x1b\x00\x07\x9b\u202e")
    assert "␛[31mb␀" in shown


def test_text_that_a_person_typed_is_shown_as_typed() -> None:
    text = "# not a heading\n  indented\n* [b]star[/b]"
    assert looks(text, plain=True) == text.split("\n")
    assert copied(text, plain=True) == text


NOISY = ["[" * 399, "![" * 190, "*a " * 390, "`" * 390, "&" * 399]
"""Just below where text counts as hostile: the most that the parser is ever given."""

WIDE_TABLE = "|" + "a|" * 900 + "\n|" + "-|" * 900


@pytest.mark.parametrize("text", [*NOISY, WIDE_TABLE])
def test_the_worst_block_has_a_bound(text: str) -> None:
    """Some 3.4 million steps, a few hundredths of a second. Ten times the noise would take a hundred times as many."""
    blocks = blocks_of(text)
    render(blocks[0], 80)  # the parser is made once
    for block in blocks:
        steps(partial(render, block, 80), most=10_000_000)


@pytest.mark.parametrize("text", ["[" * 2000, "![" * 1000, "*a " * 1300, "&" * 2000, "> " * 900])
def test_a_hostile_block_never_reaches_the_parser(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    parsers = counted(monkeypatch, render_module, "parser")
    render(blocks_of("some *text*")[0], 80)
    assert len(parsers) == 1
    for block in blocks_of(text):
        assert render(block, 80).lines
    assert len(parsers) == 1


def test_no_expression_backtracks_without_end() -> None:
    code = """
from npurun_tui.widgets.transcript.blocks import Splitter
from npurun_tui.widgets.transcript.render import render
def work(text):
    splitter = Splitter()
    splitter.feed(text)
    splitter.close()
    for block in splitter.blocks:
        render(block, 80)
"""
    hostile = [*NOISY, WIDE_TABLE, "> " * 2000, "- " * 2000 + "x", "\t" * 4000 + ">", "1" * 4000]
    assert_all_end(code, {text[:20]: text for text in hostile})


def test_code_is_coloured_without_a_character_changed() -> None:
    codes = {
        "bash": "ls  # a comment",
        "python": "\n\ndef f():\n\treturn '\\t'\n\n",
        "diff": "+a\n-b",
        "json": '{"a": [1, null]}',
        "no-such-language": "x  =  1",
        "": "",
    }
    for language, code in codes.items():
        lines = highlight(code, language)
        assert "\n".join("".join(text for text, _ in line) for line in lines) == code
    assert ("# a comment", "code-comment") in highlight(codes["bash"], "bash")[0]


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("Python title=x", "python"),
        ("{.js}", "js"),
        ("c,ignore", "c"),
        ("", ""),
    ],
)
def test_the_language_is_the_first_word(info: str, language: str) -> None:
    assert language_of(info) == language
