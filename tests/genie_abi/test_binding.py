"""The binding where a real model would only be in the way: a scripted dialog behind the C interface, and its
defects."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, Opening, Sampler, SentenceCode, Status
from npurun_tui.engine.genie import opening
from npurun_tui.engine.genie.bundle import read_bundle
from npurun_tui.engine.genie.dialog import GenieDialog
from npurun_tui.engine.genie.library import Library
from npurun_tui.engine.messages import Constraint
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import EngineLoadFailed, EngineUnavailable, ModelFileDamaged
from npurun_tui.genie_abi import exports
from tests.support.abi_library import built_library
from tests.support.genie_bundle import config, write_bundle
from tests.support.native import compiled
from tests.support.soak import TEXT, tell, write_model

MakeDialog = Callable[..., GenieDialog]


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(built_library())


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")[1]


@pytest.fixture
def dialog(script: Path, library: Library) -> GenieDialog:
    return GenieDialog(read_bundle(script.with_name("genie_config.json"), library.version), library)


def ask(dialog: Dialog, text: str, code: SentenceCode = SentenceCode.COMPLETE) -> str:
    heard: list[str] = []
    assert dialog.query(text, code, lambda piece, _code: heard.append(piece)) == Status.SUCCESS
    return "".join(heard)


def refused(dialog: Dialog, text: str, code: SentenceCode) -> GenieError:
    with pytest.raises(GenieError) as caught:
        dialog.query(text, code)
    return caught.value


@pytest.mark.parametrize(("bos", "fed_by_genie"), [(7, True), (-1, False), (8, False)])
def test_a_bos_that_genie_feeds_by_itself_is_not_in_the_text_too(
    tmp_path: Path, library: Library, bos: int, fed_by_genie: bool
) -> None:
    file, script = write_model(tmp_path / "model")
    document = config(context=4096, vocabulary=2_000_000, bos=bos, eos=256, model=str(script))
    write_bundle(file.parent, document, [{"id": 7, "content": "<|b|>", "special": True}], {})
    dialog = GenieDialog(read_bundle(file, library.version), library)
    held = []
    for text in ("hello", "<|b|>hello"):
        ask(dialog, text)
        held.append(dialog.context_occupancy)
        dialog.reset()
    assert (held[0] == held[1]) is fed_by_genie
    ask(dialog, "<|b|>")  # where nothing else is asked, that is
    dialog.close()


def handles() -> int:
    """Handles that the library has given out and not taken back."""
    [installed] = exports.installed
    return len(installed.handles)


def test_nothing_is_left_open(dialog: GenieDialog) -> None:
    ask(dialog, "one")
    before = handles()
    for number in range(50):
        dialog.set_sampler(Sampler(seed=number))
        dialog.rebuild()
        ask(dialog, "one")
        ask(dialog, "one two", SentenceCode.REWIND)
        dialog.reset()
    assert handles() == before
    dialog.close()
    assert handles() < before


def test_a_refused_create_leaves_nothing_open(
    script: Path, library: Library, dialog: GenieDialog
) -> None:
    before = handles()
    tell(script, [{"kind": "create"}])
    bundle = read_bundle(script.with_name("genie_config.json"), library.version)
    for _ in range(3):
        with pytest.raises(GenieError, match="14001") as caught:
            GenieDialog(bundle, library)
        assert caught.value.status == Status.ERROR_GENERAL
    assert handles() == before


def test_a_poisoned_dialog_is_healed_by_rebuilding_and_by_nothing_less(
    dialog: GenieDialog, script: Path
) -> None:
    ask(dialog, "one")
    tell(script, [{"kind": "poison", "on": [2]}])
    error = refused(dialog, "one two", SentenceCode.REWIND)
    assert (error.status, "batch dispatch failed" in error.detail) == (Status.ERROR_GENERAL, True)
    assert dialog.opening("one two").how is Opening.REBUILD
    dialog.reset()
    refused(dialog, "one", SentenceCode.COMPLETE)
    dialog.rebuild()
    assert ask(dialog, "one two") == TEXT


def test_a_rebuild_that_fails_is_tried_again(dialog: GenieDialog, script: Path) -> None:
    ask(dialog, "one")
    tell(script, [{"kind": "create"}])
    with pytest.raises(GenieError):
        dialog.rebuild()
    dialog.set_stop_sequences([])
    dialog.set_sampler(Sampler(seed=3))
    assert dialog.opening("one two").how is Opening.REBUILD
    assert refused(dialog, "one", SentenceCode.COMPLETE).status == Status.ERROR_INVALID_HANDLE
    tell(script, [])
    dialog.rebuild()
    assert ask(dialog, "one two") == TEXT


def test_a_window_that_is_full_too_early_is_an_error(dialog: GenieDialog, script: Path) -> None:
    tell(script, [{"kind": "full", "on": [1]}])
    assert refused(dialog, "one", SentenceCode.COMPLETE).status == Status.ERROR_QUERY_FAILED
    assert dialog.opening("one").how is Opening.REBUILD


def test_settings_that_need_an_empty_cache_begin_anew_or_are_refused(dialog: GenieDialog) -> None:
    ask(dialog, "one")
    dialog.set_sampler(Sampler(repetition_penalty=1.3))
    assert dialog.opening("one two").how is Opening.REBUILD
    error = refused(dialog, "two", SentenceCode.COMPLETE)
    assert error.status == Status.ERROR_APPLY_CONFIG_FAILED
    assert ask(dialog, "one two", SentenceCode.REWIND) == TEXT
    profile = dialog.profile()
    assert profile is not None
    assert profile.cached_tokens == 0
    assert dialog.opening("one two").how is Opening.REWIND


def test_a_new_seed_begins_anew(dialog: GenieDialog) -> None:
    ask(dialog, "one")
    dialog.set_sampler(Sampler(seed=5))
    assert dialog.opening("one two").how is Opening.RESET
    dialog.set_sampler(Sampler(seed=5))
    dialog.reset()
    ask(dialog, "one")
    dialog.set_sampler(Sampler(seed=5))
    assert dialog.opening("one two").how is Opening.REWIND


def test_the_performance_policy_outlives_reset_and_rebuild(dialog: GenieDialog) -> None:
    dialog.set_policy(70)
    dialog.reset()
    assert dialog.native.policy() == 70
    dialog.rebuild()
    assert dialog.native.policy() == 70


def test_one_query_at_a_time(dialog: GenieDialog) -> None:
    refusals: list[Status] = []

    def ask_meanwhile(_text: str, _code: SentenceCode) -> None:
        if not refusals:
            refusals.append(refused(dialog, "two", SentenceCode.COMPLETE).status)

    dialog.query("one", on_text=ask_meanwhile)
    assert refusals == [Status.ERROR_GENERAL]


def test_a_snapshot_of_another_bundle_is_refused(
    dialog: GenieDialog, library: Library, tmp_path: Path
) -> None:
    ask(dialog, "one")
    held = dialog.context_occupancy
    dialog.save(tmp_path / "saved")
    other_file = write_model(tmp_path / "other")[0]
    other = GenieDialog(read_bundle(other_file, library.version), library)
    with pytest.raises(GenieError, match="another model") as caught:
        other.restore(tmp_path / "saved")
    assert caught.value.status == Status.ERROR_QUERY_FAILED
    dialog.reset()
    dialog.restore(tmp_path / "saved")
    assert dialog.context_occupancy == held


@pytest.mark.parametrize("name", ["apply_lora", "release_lora"])
def test_what_the_library_lacks_is_an_error_of_its_own(dialog: GenieDialog, name: str) -> None:
    with pytest.raises(GenieError, match="not implemented"):
        getattr(dialog.native, name)("adapter")
    with pytest.raises(GenieError, match="Grammars"):
        dialog.set_grammar("regex", "file")
    dialog.set_grammar("", "")


def test_a_constraint_that_is_not_taken_leaves_no_file(
    dialog: GenieDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(GenieError, match="cannot hold"):  # the scripted dialog has none
        dialog.set_constraint(Constraint(json_schema={"type": "object"}))
    dialog.set_constraint(None)
    assert not list(tmp_path.glob("npurun-*"))
    ask(dialog, "one")


# --- loading, and what goes wrong with it ---------------------------------------------------------


@pytest.fixture
def spec(script: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setenv("NPURUN_GENIE_LIB", str(built_library()))
    return ModelSpec("scripted", "genie", script.parent, script.with_name("genie_config.json"))


def test_a_bundle_is_opened_with_the_runtime_that_is_found(spec: ModelSpec) -> None:
    dialog = opening.open_bundle(spec)
    assert dialog.place == "CPU (Genie 1.21.0)"  # never NPU, whatever the backend is called
    assert ask(dialog, "one") == TEXT


def test_a_conversation_that_could_not_be_restored_is_not_saved(
    spec: ModelSpec, tmp_path: Path
) -> None:
    window = {
        "version": 1,
        "type": "sliding-window",
        "sliding-window": {"version": 1, "window-size": 8},
    }
    change(spec, lambda dialog: dialog["engine"].update({"longcontext": window}))
    dialog = opening.open_bundle(spec)
    ask(dialog, "one")
    with pytest.raises(GenieError, match="sliding-window"):
        dialog.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def change(spec: ModelSpec, edit: Callable[[dict[str, Any]], object]) -> None:
    assert spec.model_file is not None
    document = json.loads(spec.model_file.read_text("utf-8"))
    edit(document["dialog"])
    spec.model_file.write_text(json.dumps(document), "utf-8")


def test_an_unknown_key_is_named(spec: ModelSpec) -> None:
    change(spec, lambda dialog: dialog["context"].update({"bogus": 1}))
    with pytest.raises(
        EngineLoadFailed, match=r"refuses the config .*context/bogus.*\(-8\)"
    ) as caught:
        opening.open_bundle(spec)
    assert "genie_config.json" in caught.value.mend


def test_genies_own_text_reaches_the_user(spec: ModelSpec, script: Path) -> None:
    tell(script, [{"kind": "create"}])
    with pytest.raises(EngineLoadFailed, match=r"could not load scripted.*14001") as caught:
        opening.open_bundle(spec)
    assert "skel" in caught.value.mend


def test_a_missing_tokenizer(spec: ModelSpec) -> None:
    (spec.folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileDamaged, match=r"tokenizer .*tokenizer\.json is missing"):
        opening.open_bundle(spec)


def test_a_library_for_another_processor(
    spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ELF header of the other one of x86-64 (62) and ARM64 (183)."""
    import platform

    other = 62 if platform.machine() in ("aarch64", "arm64") else 183
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + bytes([other, 0]) + bytes(44)
    file = tmp_path / "libGenie.so"
    file.write_bytes(header)
    monkeypatch.setenv("NPURUN_GENIE_LIB", str(file))
    with pytest.raises(EngineUnavailable, match="this Python"):
        opening.open_bundle(spec)


def test_an_abort_of_long_ago_costs_nothing_and_ends_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X8, from a library that has it: the first query after a failed one is aborted before its first token."""
    leaking = compiled(tmp_path, LEAKING)
    library = Library(leaking)
    file, _ = write_model(tmp_path / "model")
    dialog = GenieDialog(read_bundle(file, library.version), library)
    calls: list[tuple[str, int]] = []
    status = dialog.query("one", on_text=lambda text, code: calls.append((text, int(code))))
    assert status == Status.SUCCESS
    assert calls == [("yes", 1), ("", 3)]


LEAKING = (
    (Path(__file__).parents[2] / "benchmarks" / "emitting_genie.c")
    .read_text("utf-8")
    .replace(
        "int32_t GenieDialog_query(handle h,",
        """
int32_t GenieDialog_query(handle h, const char *q, int32_t code, text_fn call, const void *user) {
    static int queries;
    if (queries++ == 0) { call("", 3, user); return 1; }
    call("yes", 1, user);
    call("", 3, user);
    return 0;
}
int32_t unused_query(handle h,""",
    )
)
