"""The splitter: nothing lost, cuts that do not depend on how the text arrived, bounded blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.widgets.transcript.blocks import (
    LINE_LIMIT,
    Block,
    Kind,
    Splitter,
    code_blocks,
    code_of,
)
from npurun_tui.widgets.transcript.scanner import BLOCK_LINES, BLOCK_SIZE
from tests.support.work import assert_all_end, steps

LINES = [
    "# Title",
    "Some text",
    "- item",
    "  - nested",
    "      sloppy",
    "1. one",
    "2) two",
    "```python",
    "   ```",
    "~~~",
    "> quote",
    "| a | b |",
    "|---|---|",
    "---",
    "",
    "\t",
    "    code",
    "\x1b[31m\u202e日本語",
    "word " * 900,
    "x" * (LINE_LIMIT + 5),
]
texts = st.lists(st.sampled_from(LINES), max_size=90).map("\n".join) | st.text(
    alphabet="#-*+ \n\t`~>|1.)ab\r", max_size=400
)


def split(text: str) -> list[Block]:
    splitter = Splitter()
    splitter.feed(text)
    splitter.close()
    return splitter.blocks


def fed(text: str, sizes: list[int]) -> list[Block]:
    splitter = Splitter()
    position = turn = 0
    while position < len(text):
        size = sizes[turn % len(sizes)]
        splitter.feed(text[position : position + size])
        frozen = "".join(block.source for block in splitter.blocks)
        assert frozen + splitter.rest() == text[: position + size]
        splitter.tail()
        position += size
        turn += 1
    splitter.close()
    return splitter.blocks


@given(texts)
@settings(deadline=None, max_examples=150)
def test_the_sources_joined_are_the_text(text: str) -> None:
    assert "".join(block.source for block in split(text)) == text


@given(texts, st.lists(st.integers(1, 3000), min_size=1, max_size=5))
@settings(deadline=None, max_examples=100)
def test_the_cuts_do_not_depend_on_how_the_text_arrived(text: str, sizes: list[int]) -> None:
    assert fed(text, sizes) == split(text)


@given(texts)
@settings(deadline=None, max_examples=100)
def test_blocks_are_bounded(text: str) -> None:
    for block in split(text):
        assert len(block.body) < BLOCK_SIZE + LINE_LIMIT + 1
        assert block.body.count("\n") <= BLOCK_LINES


def test_a_finished_block_is_never_replaced() -> None:
    splitter = Splitter()
    seen: list[Block] = []
    for piece in "# A\n\ntext\n- one\n- two\n\n```\ncode\n```\nend":
        splitter.feed(piece)
        assert all(now is then for now, then in zip(splitter.blocks, seen, strict=False))
        seen = list(splitter.blocks)
    assert len(seen) == 5


def test_items_are_blocks_that_carry_their_number_and_place() -> None:
    blocks = split("1. a\n1. b\n   - c\n     - d\n1. e\n\n7. f\n")
    assert [block.kind for block in blocks] == [Kind.ITEM] * 6
    assert [block.ordinal for block in blocks] == [1, 2, None, None, 3, 7]
    assert [block.indent for block in blocks] == [0, 0, 3, 5, 0, 0]
    assert [block.gap for block in blocks] == [0, 0, 0, 0, 0, 1]


def test_a_fence_in_an_item_keeps_the_numbering() -> None:
    blocks = split("1. run\n   ```sh\n   - not an item\n\n   ls\n   ```\n2. next\n")
    assert [block.kind for block in blocks] == [Kind.ITEM, Kind.FENCE, Kind.ITEM]
    assert code_of(blocks[1]) == "- not an item\n\nls"
    assert blocks[2].ordinal == 2


def test_a_long_fence_is_cut_at_blank_lines_and_copied_whole() -> None:
    code = "\n".join("" if number % 10 == 9 else f"line {number}" for number in range(2000))
    blocks = split(f"```python\n{code}\n```\n")
    assert len(blocks) > 40
    assert {block.info for block in blocks} == {"python"}
    assert all(block.source.endswith("\n\n") for block in blocks[:-1])
    assert code_blocks(blocks) == [code]


def test_one_long_line_in_a_fence_is_one_line_when_copied() -> None:
    line = "x = " + "1234567890" * 2000
    assert code_blocks(split(f"```\n{line}\nend\n```")) == [f"{line}\nend"]


def test_code_blocks_counts_an_empty_and_an_unclosed_fence() -> None:
    assert code_blocks(split("```\n```\ntext\n~~~py\na\n\nb")) == ["", "a\n\nb"]


def test_a_cut_table_keeps_its_head() -> None:
    text = "Intro:\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 100 + "\nend"
    blocks = split(text)
    assert [block.kind for block in blocks[:3]] == [Kind.TEXT, Kind.TABLE, Kind.TABLE]
    assert blocks[2].context == "| a | b |\n|---|---|\n"
    assert blocks[-1].kind is Kind.TEXT


@pytest.mark.parametrize("start", ["-", "1", "1.", "``", "#", "|"])
def test_what_may_become_a_marker_is_not_shown_yet(start: str) -> None:
    splitter = Splitter()
    splitter.feed(f"Text:\n{start}")
    assert [block.source for block in splitter.tail()] == ["Text:\n"]
    splitter.feed("x")
    assert "".join(block.source for block in splitter.tail()) == f"Text:\n{start}x"


def test_plain_text_is_not_markdown() -> None:
    splitter = Splitter(plain=True)
    splitter.feed("# not a heading\n\n- nor an item\n```")
    splitter.close()
    assert [block.kind for block in splitter.blocks] == [Kind.PLAIN]


HOSTILE = {
    "one line": "x" * 1_000_000,
    "fences": "```\n" * 100_000,
    "quotes": ">" * 300_000,
    "blank lines": "\n" * 300_000,
    "nested": "\n".join(" " * (2 * depth) + "- a" for depth in range(500)),
    "escapes": "\0\x1b[31m\u202e" * 50_000,
    "spaces": " " * 300_000 + "|",
    "dashes": "- " * 150_000 + "x",
    "delimiters": "a|b\n" + "|-" * 150_000 + "x",
    "a fence without end": "```\n" + "x = 1\n" * 50_000,
    "a paragraph without end": "some words\n" * 30_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_linear(name: str) -> None:
    """A character costs about the same in eight times the text; were the work quadratic, it would be eight times."""
    text = HOSTILE[name][:40_000]
    small, large = _steps_per_character(text[:5000]), _steps_per_character(text)
    assert large < 1.5 * small


def _steps_per_character(text: str) -> float:
    splitter = Splitter()

    def feed() -> None:
        for start in range(0, len(text), 30):  # as tokens come: often
            splitter.feed(text[start : start + 30])
            splitter.tail()
        splitter.close()

    return steps(feed) / len(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_looked_at_again_is_bounded(name: str) -> None:
    """Each feed copies and matches what is open, all inside C, so no count of steps would show it."""
    text = HOSTILE[name][:100_000]
    splitter = Splitter()
    for start in range(0, len(text), 1000):
        splitter.feed(text[start : start + 1000])
        assert len(splitter.rest()) <= BLOCK_SIZE + 2 * LINE_LIMIT
    splitter.close()
    assert sum(len(block.source) for block in splitter.blocks) == len(text)


def test_no_expression_backtracks_without_end() -> None:
    code = """
from npurun_tui.widgets.transcript.blocks import Splitter
def work(text):
    splitter = Splitter()
    for start in range(0, len(text), 50_000):
        splitter.feed(text[start : start + 50_000])
        splitter.tail()
    splitter.close()
"""
    assert_all_end(code, HOSTILE)
