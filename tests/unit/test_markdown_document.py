"""Where rows are: heights that become exact, places that stay, widths that change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.widgets.transcript.document import CACHED_SECTIONS, Document, Place
from npurun_tui.widgets.transcript.heights import HeightIndex
from npurun_tui.widgets.transcript.message import Entry
from tests.support.transcripts import CONVERSATION, short_answers


def document(*entries: Entry, width: int = 60) -> Document:
    made = Document()
    made.set_width(width)
    for entry in entries:
        made.add(entry)
    return made


def all_rows(made: Document) -> list[str]:
    return [row.line.plain for row in made.window(Place(0, 0, 0), 100_000)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=60), st.integers(0, 99))
@settings(deadline=None)
def test_the_height_index_agrees_with_a_plain_list(
    changes: list[tuple[int, int]], row: int
) -> None:
    index, plain = HeightIndex(), list[int]()
    for position, height in changes:
        if position < len(plain):
            index.replace(position, height)
            plain[position] = height
        elif position > 28:
            index.truncate(len(plain) // 2)
            del plain[len(plain) // 2 :]
        else:
            index.append(height)
            plain.append(height)
        assert index.total == sum(plain)
    assert [index.start(i) for i in range(len(plain) + 1)] == [
        sum(plain[:i]) for i in range(len(plain) + 1)
    ]
    if sum(plain):
        item, inside = index.find(row)
        assert 0 <= inside < plain[item]
        assert sum(plain[:item]) + inside == min(row, sum(plain) - 1)


def test_opening_splits_nothing() -> None:
    made = document(*short_answers(500))
    assert made.rows > 2000
    assert all(message.heights is None for message in made.messages)
    made.window(made.move(made.end(), -40), 41)
    assert sum(message.heights is not None for message in made.messages) < 12


def test_row_numbers_are_exact_once_everything_was_seen() -> None:
    made = document(*CONVERSATION)
    rows = all_rows(made)
    assert made.rows == len(rows)
    place = Place(0, 0, 0)
    for number, text in enumerate(rows):
        assert made.row_of(place) == number
        assert made.place_at(number) == place
        assert made.window(place, 1)[0].line.plain == text
        place = made.move(place, 1)
    assert made.end() == place


@given(st.lists(st.integers(-50, 50), max_size=12))
@settings(deadline=None, max_examples=30)
def test_moving_down_and_up_again_comes_back(steps: list[int]) -> None:
    made = document(*short_answers(30))
    place = made.place_at(made.rows // 2)
    for step in steps:
        there = made.move(place, step)
        if there not in {made.end(), Place(0, 0, 0)}:
            assert made.move(there, -step) == place
            place = there


def test_another_width_keeps_the_character_at_the_top() -> None:
    words = " ".join(f"word{number}" for number in range(400))
    made = document(Entry("user", "x\n" * 50), Entry("assistant", words), width=70)
    place = made.move(Place(1, 1, 0), 20)
    first = made.window(place, 1)[0].line.plain.split()[0]
    mark = made.mark(place)
    for width in (33, 120, 70):
        made.set_width(width)
        found = made.find(mark)
        assert first in made.window(found, 1)[0].line.plain
    assert found == place


def test_streaming_gives_the_same_rows_as_loading() -> None:
    text = CONVERSATION[1].text
    streamed = document()
    message = streamed.add(Entry("assistant"), live=True)
    streamed.window(Place(0, 0, 0), 50)
    for at in range(0, len(text), 7):
        message.append(text[at : at + 7])
        streamed.changed(message.serial)
        assert streamed.window(Place(0, 0, 0), 10)
    message.finish()
    streamed.changed(message.serial)
    assert all_rows(streamed) == all_rows(document(Entry("assistant", text)))


def test_lines_that_did_not_change_are_the_same_objects() -> None:
    made = document()
    message = made.add(Entry("assistant"), live=True)
    message.append("First line of a paragraph\nthat goes on and on ")
    made.changed(message.serial)
    before = made.window(Place(0, 0, 0), 10)
    message.append("and on")
    made.changed(message.serial)
    after = made.window(Place(0, 0, 0), 10)
    assert [a.line is b.line for a, b in zip(before, after, strict=True)] == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_truncating_forgets_and_serials_never_come_back() -> None:
    made = document(*short_answers(4))
    gone = made.messages[2].serial
    made.truncate(2)
    assert made.position(gone) is None
    assert made.add(Entry("user", "new")).serial > gone
    assert made.clamp(Place(9, 0, 0)) == made.end()


def test_an_empty_document_has_no_places() -> None:
    made = document()
    with pytest.raises(IndexError):
        made.end()
    with pytest.raises(IndexError):
        made.place_at(0)


def test_what_is_kept_is_bounded() -> None:
    made = document(*short_answers(600))
    assert len(all_rows(made)) > CACHED_SECTIONS
    assert len(made._kept) <= CACHED_SECTIONS
