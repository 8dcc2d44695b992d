"""The private pipe's lines: whatever is sent arrives, however the pipe cuts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui import errors
from npurun_tui.engine import wire
from npurun_tui.engine.dialog import GenieError, Status

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=5), st.data())
def test_messages_survive_any_cut_of_the_stream(
    messages: list[dict[str, object]], data: st.DataObject
) -> None:
    stream = b"".join(wire.encode(message) for message in messages)
    buffer, got = wire.LineBuffer(), list[dict[str, object]]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += [wire.decode(line) for line in buffer.feed(stream[:cut])]
        stream = stream[cut:]
    assert got == messages


def test_lone_surrogates_do_not_break_the_pipe() -> None:
    assert wire.decode(wire.encode({"text": "a\ud800b"})) == {"text": "a?b"}


@pytest.mark.parametrize("line", [b"", b"[]", b"nonsense", b'"text"', b"{", b"\xff"])
def test_what_is_not_a_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's and unicode's own errors are both ValueErrors
        wire.decode(line)


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_LINE", 1000)
    buffer = wire.LineBuffer()
    assert buffer.feed(b"x" * 1000) == []
    with pytest.raises(ValueError, match="too long"):
        buffer.feed(b"x")


@pytest.mark.parametrize(
    "error",
    [
        errors.EngineLoadFailed("The file is damaged.", mend="Pull it again."),
        errors.TemplateInvalid("No."),
        GenieError(Status.ERROR_QUERY_FAILED, "GenieDialog_query", "empty cache"),
    ],
)
def test_an_error_keeps_its_class_and_words(error: errors.NpurunError) -> None:
    back = wire.decode_error(wire.decode(wire.encode(wire.encode_error(error))))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_too_long_a_text_keeps_by_how_much() -> None:
    error = errors.ContextOverflow("Too long.", mend="Split it.", needed=600, window=512)
    back = wire.decode_error(wire.decode(wire.encode(wire.encode_error(error))))
    assert isinstance(back, errors.ContextOverflow)
    assert (back.needed, back.window, back.mend) == (600, 512, "Split it.")


@pytest.mark.parametrize("kind", ["SystemExit", "annotations", "Nonsense", "__name__"])
def test_an_unknown_kind_of_error_cannot_name_any_other_class(kind: str) -> None:
    back = wire.decode_error({"kind": kind, "message": "words", "mend": ""})
    assert type(back) is errors.EngineError
    assert str(back) == "words"
