"""The small parts of the NPU engine: graph names, figures, sampler settings, failures, stderr, callbacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.engine.dialog import GenieError, Sampler, SentenceCode, Status
from npurun_tui.engine.genie import figures, sampler
from npurun_tui.engine.genie.failures import load_failed
from npurun_tui.engine.genie.graphs import Graphs, read_graphs
from npurun_tui.engine.genie.hearing import Hearing
from npurun_tui.engine.genie.library import Library, checked, foreign
from npurun_tui.engine.genie.stderr import LONGEST, listening
from npurun_tui.errors import EngineLoadFailed

# --- graph names ---------------------------------------------------------------------------------


def graphs_of(tmp_path: Path, data: bytes) -> Graphs:
    file = tmp_path / "part_1_of_4.bin"
    file.write_bytes(data)
    return read_graphs([file])


def test_staged_graphs_of_several_contexts(tmp_path: Path) -> None:
    names = [
        f"{stage}_cl{context}_1_of_4".encode()
        for stage in ("prompt_ar128", "token_ar1")
        for context in (512, 1024, 4096)
    ]
    graphs = graphs_of(tmp_path, b"\x00\xff".join(names))
    assert graphs == Graphs((512, 1024, 4096), (1, 128), staged=True)
    assert graphs.multi
    assert graphs.prefill_width == 128


def test_older_bundles_need_no_switching(tmp_path: Path) -> None:
    graphs = graphs_of(tmp_path, b"x\x00ar128_cl4096_1_of_4\x00ar1_cl4096_1_of_4\x00")
    assert graphs == Graphs((4096,), (1, 128))
    assert not graphs.multi


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 100, b"ar0_cl0", b"ar128_cl1", b"ar_cl", b"bar99999999_cl1"]
)
def test_what_names_no_graph(tmp_path: Path, data: bytes) -> None:
    assert graphs_of(tmp_path, data) == Graphs()


def test_names_in_the_middle_of_a_large_file_are_found(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    with file.open("wb") as stream:
        stream.seek(20 << 20)
        stream.write(b"token_ar1_cl2048_1_of_1")
        stream.truncate(40 << 20)
    assert read_graphs([file]).contexts == (2048,)


EDGE = 16 << 20


@pytest.mark.parametrize("size", [20 << 20, 40 << 20])
@pytest.mark.parametrize("before", [3, 9, 13, 17, 18])
def test_a_name_across_the_border_of_what_is_searched_first(
    tmp_path: Path, size: int, before: int
) -> None:
    """Half of it would be another name: a context of 409, or a graph without a stage."""
    file = tmp_path / "part.bin"
    for border in (EDGE, size - EDGE):
        with file.open("wb") as stream:
            stream.seek(border - before)
            stream.write(b"prompt_ar1_cl4096_1_of_2")
            stream.truncate(size)
        assert read_graphs([file]) == Graphs((4096,), (1,), staged=True)


def test_a_table_of_names_across_the_border_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "part.bin"
    with file.open("wb") as stream:
        stream.seek(EDGE - 400)
        stream.write(b"token_ar1_cl512_1_of_1".ljust(800, b"\0") + b"token_ar1_cl4096_1_of_1")
        stream.truncate(40 << 20)
    assert read_graphs([file]).contexts == (512, 4096)


def test_the_first_shard_that_names_graphs_speaks_for_all(tmp_path: Path) -> None:
    files = [tmp_path / "embedding.bin", tmp_path / "part.bin"]
    files[0].write_bytes(bytes(1000))
    files[1].write_bytes(b"token_ar1_cl512_1_of_1")
    assert read_graphs(files).contexts == (512,)
    assert read_graphs([]) == Graphs()


# --- figures -------------------------------------------------------------------------------------


def profile(*events: dict[str, Any]) -> bytes:
    return (
        json.dumps({"components": [{"name": "dialog0", "events": list(events)}]}).encode() + b"\x00"
    )


def query_event(tokens: int) -> dict[str, Any]:
    return {
        "type": "GenieDialog_query",
        "num-prompt-tokens": {"value": 823, "unit": ""},
        "time-to-first-token": {"value": 531665, "unit": "us"},
        "num-generated-tokens": {"value": tokens, "unit": ""},
        "token-generation-time": {"value": 5191579, "unit": "us"},
    }


def test_the_last_query_counts() -> None:
    event = figures.last_query(
        profile({"type": "GenieDialog_create"}, query_event(9), query_event(200))
    )
    assert event == figures.QueryEvent(2, 823, 200, 531665, 5191579)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b'{"components": null}',
        b'{"components": 7}',
        b'{"components": [{"events": [{"type": "GenieDialog_query", "num-prompt-tokens": 3}]}]}',
        b"[" * 100_000,
        profile({"type": "GenieDialog_create"}),
    ],
)
def test_a_profile_without_figures(data: bytes) -> None:
    assert figures.last_query(data) is None


# --- sampler settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Sampler(temperature=0),
        Sampler(top_k=1),
        Sampler(temperature=0, top_k=0),
        Sampler(top_p=1e-9),
    ],
)
def test_greedy_is_top_k_1_at_temperature_1(settings: Sampler) -> None:
    """Temperature 0 aborts the real library, so it is never sent."""
    block = sampler.block(settings, 7, 1000)
    assert (block["temp"], block["top-k"]) == (1.0, 1)


@given(st.floats(0, 5), st.integers(0, 10**6), st.floats(1e-6, 1), st.integers(0, 1 << 62))
def test_no_settings_reach_a_known_defect(
    temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    block = sampler.block(Sampler(temperature, top_k, top_p), seed, 5000)
    assert block["temp"] > 0
    assert 1 <= block["top-k"] <= 5000
    assert 0 <= block["seed"] < 1 << 31


def test_a_penalty_is_complete_or_absent() -> None:
    assert sampler.penalty(Sampler()) is None
    assert sampler.penalty(Sampler(repetition_penalty=1.2, penalize_last_n=0)) is None
    penalty = sampler.penalty(Sampler(repetition_penalty=1.2))
    assert penalty == {"version": 1, "penalize-last-n": 64, "repetition-penalty": 1.2}


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "mend"),
    [
        ("Could not create context from binary List Async, err 5005", "another chip"),
        ("Failed to create device: 14001", "skel"),
        ("err 1007", "out of memory"),
        ("Unable to find a valid system interface", "QnnSystem"),
        ("Can't access model file : a.bin", "missing"),
        ("[json.exception] type must be number, but is null", "kv-dim"),
        ("something new", "engine log"),
    ],
)
def test_genies_own_words_with_the_mend(detail: str, mend: str) -> None:
    error = load_failed("phi", GenieError(Status.ERROR_GENERAL, "GenieDialog_create", detail))
    assert detail in error.message
    assert mend in error.mend


def test_a_refused_config_is_told_as_one() -> None:
    error = load_failed(
        "phi",
        GenieError(Status.ERROR_JSON_SCHEMA, "GenieDialogConfig_createFromJson", "Unknown key: x"),
    )
    assert "refuses the config of phi: Unknown key: x (-8)" in error.message


def test_a_hostile_librarys_words_are_made_printable() -> None:
    error = load_failed("a\x1b[2J", GenieError(Status.ERROR_GENERAL, "x", "\x1b]0;t\x07 boom"))
    assert "\x1b" not in str(error)


def test_statuses_that_nobody_knows() -> None:
    assert checked(4, "x") is Status.WARNING_CONTEXT_EXCEEDED
    with pytest.raises(GenieError) as caught:
        checked(-77, "GenieDialog_query", "why")
    assert caught.value.status == Status.ERROR_GENERAL
    assert "status -77. why" in str(caught.value)


# --- the library's file --------------------------------------------------------------------------


def test_a_missing_library(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadFailed, match="There is no library"):
        Library(tmp_path / "libGenie.so")


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    file = tmp_path / "libGenie.so"
    file.write_bytes(b"MZ nonsense" * 100)
    with pytest.raises(EngineLoadFailed):
        Library(file)


def test_a_library_that_is_not_genie(tmp_path: Path) -> None:
    source, file = tmp_path / "a.c", tmp_path / "libother.so"
    source.write_text("int other(void) { return 1; }")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", file, source], check=True)
    with pytest.raises(EngineLoadFailed, match="is not a Genie library"):
        Library(file)


@pytest.mark.parametrize(("minor", "why"), [(10, r"API 1\.10\.0")])
def test_a_library_that_is_too_old(tmp_path: Path, minor: int, why: str) -> None:
    source, file = tmp_path / "a.c", tmp_path / "libGenie.so"
    source.write_text(
        f"unsigned Genie_getApiMajorVersion(void){{return 1;}}"
        f"unsigned Genie_getApiMinorVersion(void){{return {minor};}}"
        f"unsigned Genie_getApiPatchVersion(void){{return 0;}}"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", file, source], check=True)
    with pytest.raises(EngineLoadFailed, match=why):
        Library(file)


# --- what native code says on stderr -------------------------------------------------------------


def test_words_on_stderr_are_heard_whatever_fd_2_is(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from npurun_tui.engine.genie.stderr import listening\n"
        "os.write(2, b'before ')\n"
        "with listening() as heard:\n"
        "    os.write(2, 'the r\\u00e9ason'.encode())\n"
        "os.write(2, b' after')\n"
        "print(heard.text)\n"
    )
    log = tmp_path / "log"
    with log.open("a+b") as file:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=file, check=True
        )
    assert done.stdout.decode().strip() == "the réason"
    assert log.read_text("utf-8") == "before the réason after"
    piped = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert piped.stdout.decode().strip() == "the réason"
    assert piped.stderr.decode() == "before the réason after"


def test_a_long_complaint_keeps_its_end() -> None:
    with listening() as heard:
        os.write(2, b"x" * 10_000 + b" reason")
    assert heard.text.endswith(" reason")
    assert len(heard.text) <= LONGEST


# --- callbacks -----------------------------------------------------------------------------------


def hear(*calls: tuple[bytes | None, int]) -> tuple[list[tuple[str, int]], Hearing]:
    """What a caller is told when C calls back with `calls`."""
    ffi = foreign()
    told: list[tuple[str, int]] = []
    hearing = Hearing(ffi, lambda text, code: told.append((text, int(code))), lambda: None)
    for data, code in calls:
        text = ffi.NULL if data is None else ffi.new("char[]", data)
        hearing.function(text, code, ffi.NULL)
    hearing.finish()
    return told, hearing


THUMB = "👍".encode()


def test_a_split_character_comes_with_the_token_that_ends_it() -> None:
    told, hearing = hear(
        (b"a", 1), (THUMB[:1], 2), (THUMB[1:3], 2), (THUMB[3:] + b"b", 2), (b"", 3)
    )
    assert told == [("a", 1), ("", 2), ("", 2), ("👍b", 2), ("", 3)]
    assert (hearing.count, hearing.text) == (4, "a👍b")


def test_half_a_character_at_the_end_comes_with_the_last_token() -> None:
    told, hearing = hear((b"a", 1), (THUMB[:2], 2), (b"", 3))
    assert told == [("a", 1), ("\ufffd", 2), ("", 3)]
    assert hearing.count == 2


def test_a_token_that_must_not_be_said_is_counted_and_silent() -> None:
    ffi = foreign()
    told: list[tuple[str, int]] = []
    hearing = Hearing(
        ffi, lambda text, code: told.append((text, int(code))), lambda: None, leak="<|end|>"
    )
    for data, code in ((b"{}", 1), (b"<|end|>", 2), (b"", 3)):
        hearing.function(ffi.new("char[]", data), code, ffi.NULL)
    hearing.finish()
    assert told == [("{}", 1), ("", 2), ("", 3)]
    assert hearing.count == 2


def test_the_answer_ends_once() -> None:
    told, hearing = hear((None, 3), (b"more", 2), (b"", 3))
    assert told == [("", 3)]
    assert hearing.count == 0


def test_an_engines_failure_is_told_as_abort() -> None:
    told, _ = hear((b"a", 1), (b"", 4))
    assert told == [("a", 1), ("", 4)]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_any_bytes_however_cut_arrive_whole(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\x00", b"")
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    told, hearing = hear(*((piece, 1 if i == 0 else 2) for i, piece in enumerate(pieces)), (b"", 3))
    assert "".join(text for text, _ in told) == data.decode("utf-8", "replace")
    assert len(told) == len(pieces) + 1 == hearing.count + 1


def test_what_a_callback_raises_is_kept_and_stops_the_query() -> None:
    ffi = foreign()
    stopped: list[bool] = []

    def refuse(text: str, code: SentenceCode) -> None:
        raise KeyError(text)

    hearing = Hearing(ffi, refuse, lambda: stopped.append(True))
    for word in (b"one", b"two"):
        hearing.function(ffi.new("char[]", word), 1, ffi.NULL)
    assert isinstance(hearing.failure, KeyError)
    assert hearing.failure.args == ("one",)
    assert stopped == [True]
