"""A saved conversation comes back, and only to the model that it is of (items 50 and 51)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, Sampler, SentenceCode, Status
from tests.conformance.hearing import FOX, ask, turn

CODES = [SentenceCode.COMPLETE, SentenceCode.END, SentenceCode.REWIND]


@pytest.mark.parametrize("code", CODES)
def test_a_restored_conversation_goes_on_the_same(
    dialog: Dialog, tmp_path: Path, code: SentenceCode
) -> None:
    dialog.set_max_tokens(6)
    answer = ask(dialog, FOX).text
    held = dialog.context_occupancy
    dialog.save(tmp_path / "saved")
    more = FOX + answer + " Then" if code == SentenceCode.REWIND else " Then"
    expected = ask(dialog, more, code).text
    dialog.reset()
    dialog.restore(tmp_path / "saved")
    assert dialog.context_occupancy == held
    assert ask(dialog, more, code).text == expected
    profile = dialog.profile()
    assert profile is not None
    assert profile.cached_tokens >= held - 1  # it was not prefilled again


def test_saving_makes_a_folder_with_dialog_json(dialog: Dialog, tmp_path: Path) -> None:
    dialog.set_max_tokens(2)
    ask(dialog, FOX)
    dialog.save(tmp_path / "deep" / "saved")
    assert isinstance(json.loads((tmp_path / "deep" / "saved" / "dialog.json").read_text()), dict)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["saved"]


def test_an_empty_dialog_cannot_be_saved(dialog: Dialog, tmp_path: Path) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.save(tmp_path / "saved")
    assert caught.value.status == Status.ERROR_QUERY_FAILED
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(dialog: Dialog, tmp_path: Path) -> None:
    dialog.set_max_tokens(2)
    ask(dialog, FOX)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "mine").write_text("keep")
    with pytest.raises(GenieError) as caught:
        dialog.save(tmp_path / "saved")
    assert caught.value.status == Status.ERROR_QUERY_FAILED
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["mine"]


def test_a_missing_snapshot_is_refused_and_nothing_changes(dialog: Dialog, tmp_path: Path) -> None:
    dialog.set_max_tokens(3)
    ask(dialog, FOX)
    held = dialog.context_occupancy
    with pytest.raises(GenieError) as caught:
        dialog.restore(tmp_path / "none")
    assert caught.value.status == Status.ERROR_QUERY_FAILED
    assert dialog.context_occupancy == held


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        "[1]",
        "null",
        "\x00\x01",
        "[" * 100_000,
    ],
)
def test_a_damaged_snapshot_is_refused(dialog: Dialog, tmp_path: Path, damage: str) -> None:
    dialog.set_max_tokens(2)
    ask(dialog, FOX)
    dialog.save(tmp_path / "saved")
    (tmp_path / "saved" / "dialog.json").write_text(damage)
    with pytest.raises(GenieError) as caught:
        dialog.restore(tmp_path / "saved")
    assert caught.value.status == Status.ERROR_QUERY_FAILED


def test_a_truncated_cache_file_is_refused_and_the_dialog_goes_on(
    dialog: Dialog, tmp_path: Path
) -> None:
    dialog.set_max_tokens(3)
    text = ask(dialog, FOX).text
    dialog.save(tmp_path / "saved")
    for file in (tmp_path / "saved").iterdir():
        if file.name != "dialog.json":
            file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(GenieError) as caught:
        dialog.restore(tmp_path / "saved")
    assert caught.value.status == Status.ERROR_QUERY_FAILED
    assert ask(dialog, FOX, SentenceCode.REWIND).text == text


HOT = Sampler(temperature=1.5, top_k=0, top_p=1.0, seed=7)


@pytest.mark.parametrize("seed", [7, None])
def test_the_random_stream_goes_on_from_where_it_was(
    dialog: Dialog, tmp_path: Path, seed: int | None
) -> None:
    dialog.set_max_tokens(8)
    dialog.set_sampler(replace(HOT, seed=seed))
    ask(dialog, FOX)
    dialog.save(tmp_path / "saved")
    expected = ask(dialog, " Then", SentenceCode.END).text
    dialog.reset()
    ask(dialog, FOX)
    ask(dialog, FOX)
    dialog.restore(tmp_path / "saved")
    assert ask(dialog, " Then", SentenceCode.END).text == expected


def test_a_rewind_after_a_restore_keeps_what_the_prompt_shares_or_is_not_promised(
    dialog: Dialog, tmp_path: Path
) -> None:
    """What `Dialog.rewinds_restored` promises: no token of the snapshot stays that the prompt does not have."""
    other = turn("Tell me a long story about a cat that sleeps.")
    dialog.set_max_tokens(6)
    expected = ask(dialog, other).text
    dialog.reset()
    ask(dialog, FOX)
    dialog.save(tmp_path / "saved")
    dialog.reset()
    if not dialog.rewinds_restored:
        with pytest.raises(GenieError) as caught:
            dialog.restore(tmp_path / "saved", random=False)
        assert caught.value.status == Status.ERROR_INVALID_ARGUMENT
        return
    dialog.restore(tmp_path / "saved", random=False)
    assert ask(dialog, other, SentenceCode.REWIND).text == expected
    profile = dialog.profile()
    assert profile is not None
    assert 0 < profile.cached_tokens < len(dialog.tokenize(other)) - 4
