"""Tokens of texts and texts of tokens; special tokens are parsed and none is added (items 34 to 34c)."""

from __future__ import annotations

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, Status

TEXTS = [
    "Hello",
    " two  spaces\n\n",
    "日本語 👍🏽 привет",
    "\x1b[31m\r\n\t",
    "<|im_start|>user\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_there_and_back(dialog: Dialog, text: str) -> None:
    assert dialog.detokenize(dialog.tokenize(text)) == text


def test_nul_is_kept_or_replaced(dialog: Dialog) -> None:
    """A C string cannot hold it; an engine behind one has U+FFFD in its place, and loses nothing else."""
    assert dialog.detokenize(dialog.tokenize("a\x00b")) in ("a\x00b", "a\ufffdb")


def test_nothing_is_no_tokens(dialog: Dialog) -> None:
    assert dialog.tokenize("") == []
    assert dialog.detokenize([]) == ""


def test_special_tokens_are_one_token_each(dialog: Dialog) -> None:
    assert "<|im_end|>" in dialog.special_tokens
    for text in dialog.special_tokens:
        assert len(dialog.tokenize(text)) == 1
    assert dialog.tokenize("<|im_end|>a<|im_end|>")[0] == dialog.tokenize("<|im_end|>")[0]


def test_none_is_added(dialog: Dialog) -> None:
    assert len(dialog.tokenize("a")) == 1


def test_half_a_character_is_a_replacement_character(dialog: Dialog) -> None:
    tokens = dialog.tokenize("👍")
    assert len(tokens) > 1
    assert "\ufffd" in dialog.detokenize(tokens[:1])


def test_what_is_not_unicode_is_refused(dialog: Dialog) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.tokenize("\udc00")
    assert caught.value.status in (Status.ERROR_GENERAL, Status.ERROR_INVALID_ARGUMENT)


@pytest.mark.parametrize("token", [-1, 1 << 30, 1 << 70])
def test_unknown_tokens_are_refused(dialog: Dialog, token: int) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.detokenize([token])
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT


def test_tokenizing_does_not_touch_the_cache(dialog: Dialog) -> None:
    dialog.tokenize("some text")
    assert dialog.context_occupancy == 0
