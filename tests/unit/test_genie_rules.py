"""What the table of rules makes of a release: which rewinds are tried, and what a bundle is opened with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.dialog import Opening
from npurun_tui.engine.genie import rules
from npurun_tui.engine.genie.bundle import Bundle, read_bundle
from npurun_tui.engine.genie.rewinding import Cached, choose
from npurun_tui.engine.genie.rules import HTP, Limits, limits
from npurun_tui.errors import EngineLoadFailed, ModelFileDamaged
from tests.support.genie_bundle import config, write_bundle

V45, V47, V48, V50, V51 = (1, 17, 0), (1, 18, 0), (1, 19, 0), (1, 20, 0), (1, 21, 0)


def defects(version: rules.Version) -> set[str]:
    return {rule.id for rule in rules.known_defects(version)}


def test_each_release_has_its_own_defects() -> None:
    assert {"X1", "X2", "X14"} <= defects(V45)
    assert {"R1", "X3"} <= defects(V47)
    assert not {"D1", "D2", "R1"} & defects(V48)
    assert {"D1", "D2", "D5", "R7"} <= defects(V50)
    assert not {"D1", "D2", "D5", "R7", "R1", "X2"} & defects(V51)


def test_every_rule_says_what_is_done_and_who_says_so() -> None:
    assert len({rule.id for rule in rules.RULES}) == len(rules.RULES)
    for rule in rules.RULES:
        assert rule.title.endswith(".")
        assert rule.workaround.endswith(".")
        assert rule.source


# --- rewinds -------------------------------------------------------------------------------------


def opening(
    shared: int, rest: int, new: int, of: Limits, state: Cached | None = None
) -> tuple[Opening, str]:
    """A prompt with `shared` tokens of the cache and `new` ones; the cache has `rest` more."""
    cached = [1] * shared + [2] * rest
    prompt = [1] * shared + [3] * new
    start = choose(prompt, cached, len(cached), state or Cached(), of)
    return start.how, start.why


def test_going_on_where_the_cache_ends_is_a_rewind() -> None:
    for version in (V48, V50, V51):
        assert opening(2000, 0, 100, limits(version, HTP)) == (Opening.REWIND, "")


def test_an_empty_cache_is_not_rewound() -> None:
    assert choose([1], [], 0, Cached(), limits(V51, HTP)).how is Opening.APPEND


@pytest.mark.parametrize(
    ("shared", "rest", "new", "how"),
    [
        (1000, 600, 50, Opening.REWIND),
        (1000, 601, 50, Opening.RESET),  # R2
        (63, 100, 50, Opening.RESET),  # R3
        (64, 100, 50, Opening.REWIND),
        (3100, 51, 50, Opening.RESET),  # R4: the cache is too long to be cut
        (3150, 1, 50, Opening.REWIND),  # the last sampled token is no cut
        (3200, 0, 101, Opening.RESET),  # R6
        (3200, 0, 100, Opening.REWIND),
    ],
)
def test_what_a_release_on_the_npu_can_bear(shared: int, rest: int, new: int, how: Opening) -> None:
    found, why = opening(shared, rest, new, limits(V51, HTP))
    assert found is how
    assert bool(why) == (how is not Opening.REWIND)


def test_a_large_cache_is_rebuilt_where_reset_would_wedge() -> None:
    assert opening(63, 900, 9, limits(V50, HTP))[0] is Opening.RESET
    assert opening(63, 1000, 9, limits(V50, HTP))[0] is Opening.REBUILD
    assert opening(63, 1000, 9, limits(V51, HTP))[0] is Opening.RESET


def test_after_a_cut_answer_the_npu_does_not_rewind() -> None:
    cut = Cached(cut=True)
    assert opening(500, 0, 9, limits(V51, HTP), cut)[0] is Opening.RESET
    assert opening(500, 0, 9, limits(V51, "QnnGenAiTransformer"), cut)[0] is Opening.REWIND


def test_an_answer_whose_tokens_are_not_its_texts_shares_nothing_for_sure() -> None:
    """Genie holds 40 tokens more than the text has: where in the answer the two part is not known."""
    cached = [1] * 1000
    state = Cached(prompt_end=300)
    start = choose([*cached, 2], cached, 1040, state, limits(V51, HTP))
    assert start.how is Opening.RESET  # 740 would be discarded
    assert choose([*cached, 2], cached, 1001, state, limits(V51, HTP)).how is Opening.REWIND


def test_what_was_restored_is_not_rewound_on_the_npu() -> None:
    restored = Cached(restored=True)
    assert opening(500, 0, 9, limits(V51, HTP), restored)[0] is Opening.RESET
    assert opening(500, 0, 9, limits(V51, "QnnGenAiTransformer"), restored)[0] is Opening.REWIND


def test_a_broken_dialog_is_rebuilt_whatever_it_holds() -> None:
    broken = Cached(broken="it failed")
    assert opening(500, 0, 9, Limits(), broken) == (Opening.REBUILD, "it failed")


def test_2_47_never_rewinds() -> None:
    assert opening(500, 0, 9, limits(V47, HTP))[0] is Opening.RESET


# --- bundles -------------------------------------------------------------------------------------


def npu_config(**htp: Any) -> dict[str, Any]:
    document = config(context=4096, vocabulary=1000, bos=-1, eos=2, model="unused")
    engine = document["dialog"]["engine"]
    engine["backend"] = {
        "version": 1,
        "type": HTP,
        HTP: {"version": 1, "poll": True, "kv-dim": 128} | htp,
        "extensions": "htp_backend_ext_config.json",
    }
    engine["model"] = {
        "version": 1,
        "type": "binary",
        "binary": {"version": 1, "ctx-bins": ["one.bin", "sub\\two.bin"]},
    }
    return document


STAGED = b"prompt_ar128_cl512_1_of_2 token_ar1_cl512_1_of_2 prompt_ar128_cl4096_1_of_2"


def npu_bundle(folder: Path, document: dict[str, Any], graphs: bytes = STAGED) -> Path:
    file = write_bundle(folder, document, [{"content": "<|end|>", "special": True}], {})
    (folder / "htp_backend_ext_config.json").write_text("{}")
    (folder / "sub").mkdir()
    (folder / "one.bin").write_bytes(graphs)
    (folder / "sub" / "two.bin").write_bytes(b"x")
    return file


def opened(file: Path, version: rules.Version = V51, **environ: str) -> Bundle:
    return read_bundle(file, version, environ=environ)


def htp_of(bundle: Bundle) -> dict[str, Any]:
    block: dict[str, Any] = bundle.config["dialog"]["engine"]["backend"][HTP]
    return block


def test_paths_become_absolute_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    file = npu_bundle(tmp_path / "b", npu_config())
    before = file.read_bytes()
    dialog = opened(file).config["dialog"]
    folder = tmp_path / "b"
    assert dialog["tokenizer"]["path"] == str(folder / "tokenizer.json")
    assert dialog["engine"]["backend"]["extensions"] == str(folder / "htp_backend_ext_config.json")
    bins = dialog["engine"]["model"]["binary"]["ctx-bins"]
    assert bins == [str(folder / "one.bin"), str(folder / "sub" / "two.bin")]
    assert file.read_bytes() == before


def test_poll_is_off_unless_asked_for(tmp_path: Path) -> None:
    file = npu_bundle(tmp_path / "b", npu_config())
    assert htp_of(opened(file))["poll"] is False
    assert htp_of(opened(file, NPURUN_HTP_POLL="1"))["poll"] is True


@pytest.mark.parametrize(
    ("graphs", "before", "after"),
    [
        (STAGED, False, True),
        (b"ar128_cl4096_1_of_4 ar1_cl4096_1_of_4", True, False),
        (b"no names at all", True, True),
    ],
)
def test_graph_switching_follows_the_graph_names(
    tmp_path: Path, graphs: bytes, before: bool, after: bool
) -> None:
    document = npu_config(**{"enable-graph-switching": before})
    assert (
        htp_of(opened(npu_bundle(tmp_path / "b", document, graphs)))["enable-graph-switching"]
        is after
    )


@pytest.mark.parametrize(
    ("version", "window"), [(V48, 4096 - 128), (V50, 512 - 128), (V51, 4096 - 128)]
)
def test_the_window_ends_before_what_a_release_breaks_at(
    tmp_path: Path, version: rules.Version, window: int
) -> None:
    bundle = opened(npu_bundle(tmp_path / "b", npu_config()), version)
    assert (bundle.window, bundle.size) == (window, 4096)


@pytest.mark.parametrize("graphs", [b"no names at all", b"ar9999_cl99999", b"ar512_cl512"])
def test_the_window_is_kept_short_where_names_say_nothing_of_use(
    tmp_path: Path, graphs: bytes
) -> None:
    bundle = opened(npu_bundle(tmp_path / "b", npu_config(), graphs), V50)
    assert bundle.window in (4096 - 128, 512 - 128)


def test_ssd_bundles_are_basic_where_reset_damages_them(tmp_path: Path) -> None:
    document = npu_config()
    document["dialog"] |= {"type": "ssd-q1", "ssd-q1": {"version": 1}}
    file = npu_bundle(tmp_path / "b", document)
    assert opened(file, V50).config["dialog"]["type"] == "basic"
    assert "ssd-q1" not in opened(file, V50).config["dialog"]
    assert opened(file, V51).config["dialog"]["type"] == "ssd-q1"


@pytest.mark.parametrize("missing", ["tokenizer.json", "one.bin", "htp_backend_ext_config.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    file = npu_bundle(tmp_path / "b", npu_config())
    (tmp_path / "b" / missing).unlink()
    with pytest.raises(ModelFileDamaged, match=missing) as caught:
        opened(file)
    assert caught.value.mend


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"dialog": 7}',
        '{"dialog": {}}',
        "[" * 100_000,
        '{"dialog": {"engine": []}}',
        '{"dialog": {"context": {"size": 1e999, "n-vocab": 1, "bos-token": 1}, "engine": {"backend": {"type": "x"}}}}',
    ],
)
def test_a_config_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "genie_config.json"
    file.write_text(text)
    with pytest.raises(ModelFileDamaged):
        opened(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_config_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "genie_config.json"
    os.mkfifo(file)
    with pytest.raises(ModelFileDamaged, match="no regular file") as caught:
        opened(file)
    assert caught.value.mend


def test_a_vision_bundle_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "genie_config.json"
    file.write_text(json.dumps({"text-generator": {}}))
    with pytest.raises(EngineLoadFailed, match="pictures"):
        opened(file)
