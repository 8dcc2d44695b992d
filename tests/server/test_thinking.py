"""Thoughts are told apart from answers, however the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from npurun_tui.server.thinking import KNOWN, parse


@pytest.mark.parametrize("marks", KNOWN, ids=lambda marks: marks.opening)
def test_each_family_s_marks(marks: object) -> None:
    text = f"\n{marks.opening}\nHm, 2+2.\n{marks.closing}{marks.then}\n\nIt is 4.\n"  # type: ignore[attr-defined]
    assert parse([text]) == ("Hm, 2+2.", "It is 4.\n")
    assert parse(list(text)) == ("Hm, 2+2.", "It is 4.\n")


@pytest.mark.parametrize(
    ("text", "opened", "thought", "answer"),
    [
        ("It is 4.", False, "", "It is 4."),
        ("  indented code", False, "", "  indented code"),
        ("Write <think>x</think> for it.", False, "", "Write <think>x</think> for it."),
        ("Hm.\n</think>\n\n4", True, "Hm.", "4"),
        ("<think>\nHm.</think>4", True, "Hm.", "4"),
        ("\n</think>\n\n4", True, "", "4"),
        ("<think>\n\n</think>\n\n4", False, "", "4"),
        ("<think>it never ends </thin", False, "it never ends </thin", ""),
        ("still thinking", True, "still thinking", ""),
        ("<think>a</think>b<think>c</think>", False, "a", "b<think>c</think>"),
        ("<th", False, "", "<th"),
        ("", True, "", ""),
        ("<think>a</think>", False, "a", ""),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assi", False, "a", "<|start|>assi"),
    ],
)
def test_what_is_thought_and_what_is_said(
    text: str, opened: bool, thought: str, answer: str
) -> None:
    assert parse([text], opened=opened) == (thought, answer)
    assert parse(list(text), opened=opened) == (thought, answer)


WORDS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<", "think", ">", "</", " ", "\n", "a", "[THINK]", "[/THINK]", "<|end|>",
         "<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>", "é", "<thinking>"]
    ),
    max_size=12,
)  # fmt: skip


@given(words=WORDS, opened=st.booleans(), cuts=st.lists(st.integers(0, 120), max_size=20))
@example(words=["<", "think", ">", "a", "</", "think", ">", "\n", "b"], opened=False, cuts=[1, 3])
def test_cuts_change_nothing(words: list[str], opened: bool, cuts: list[int]) -> None:
    text = "".join(words)
    places = sorted({cut for cut in cuts if cut < len(text)})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    whole = parse([text], opened=opened)
    assert parse(pieces, opened=opened) == whole
    assert parse(list(text), opened=opened) == whole
