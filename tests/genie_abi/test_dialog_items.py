"""The statements about a dialog that the contract does not show: raw statuses and figures at the C interface (items
35, 48 to 56 and 58 of the list), over a scripted dialog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.genie.library import Library
from tests.support.abi_library import built_library
from tests.support.soak import tell, write_model


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(built_library())


class Raw:
    """A dialog at the C interface, with a profile bound to it."""

    def __init__(self, library: Library, config: Path) -> None:
        self.library, self.ffi = library, library.ffi
        self.heard: list[tuple[str, int]] = []
        self.callback = self.ffi.callback("TextFn", self._hear)
        self.profile = library.make("Profile", "GenieProfile_create", self.ffi.NULL)
        settings = library.make(
            "DialogConfig", "GenieDialogConfig_createFromJson", config.read_bytes()
        )
        library.call("GenieDialogConfig_bindProfiler", settings, self.profile)
        self.handle = library.make("Dialog", "GenieDialog_create", settings)
        library.call("GenieDialogConfig_free", settings)

    def _hear(self, text: Any, code: int, _user: Any) -> None:
        self.heard.append((self.ffi.string(text).decode(), code))

    def status(self, name: str, *arguments: Any) -> int:
        return self.library.status(f"GenieDialog_{name}", self.handle, *arguments)

    def ask(self, text: bytes, code: int = 0) -> int:
        self.heard.clear()
        return self.status("query", text, code, self.callback, self.ffi.NULL)

    def events(self, kind: str) -> list[dict[str, Any]]:
        data = self.library.data("GenieProfile_getJsonData", self.profile)
        document = json.loads(data.rstrip(b"\x00"))
        [component] = document["components"]
        assert component["type"] == "dialog"
        return [event for event in component["events"] if event["type"] == kind]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file, script = write_model(tmp_path)
    assert file.parent == tmp_path
    return script


@pytest.fixture
def dialog(library: Library, script: Path) -> Iterator[Raw]:
    raw = Raw(library, script.with_name("genie_config.json"))
    yield raw
    raw.status("free")


def test_arguments_of_a_query(dialog: Raw) -> None:
    null = dialog.ffi.NULL
    assert dialog.status("query", null, 0, dialog.callback, null) == -2
    assert dialog.status("query", b"a", 0, null, null) == -2
    assert [dialog.ask(b"a", code) for code in (4, 6, 7, -1)] == [-2, -2, -2, -2]
    assert dialog.heard == []
    assert dialog.ask(b"a", 5) == -6  # nothing to rewind


def test_stop_sequences_are_an_object(dialog: Raw) -> None:
    answers = {
        b'["a"]': -8,
        b"": -7,
        b"{}": 0,
        b'{"other": 1}': 0,
        b'{"stop-sequence": ["a"], "more": 2}': 0,
        b'{"stop-sequence": "a"}': -8,
    }
    assert {text: dialog.status("setStopSequence", text) for text in answers} == answers
    assert dialog.status("setStopSequence", dialog.ffi.NULL) == 0


def test_occupancy_and_the_count_of_1_21(dialog: Raw) -> None:
    ffi = dialog.ffi
    kind, value = ffi.new("int32_t*"), ffi.new("Value*")
    allocate = ffi.callback("AllocFn", lambda *_: None)
    assert dialog.status("getValue", 0, allocate, kind, value) == 0
    assert (kind[0], value.uint32Value) == (12, 0)
    dialog.ask(b"one two")
    assert dialog.status("getValue", 0, allocate, kind, value) == 0
    assert value.uint32Value == 2 + len(dialog.heard) - 1
    assert dialog.status("getValue", 0, ffi.NULL, kind, value) == -2
    assert dialog.status("getValue", 77, allocate, kind, value) == -2


def test_the_profile_has_an_event_for_each_query(dialog: Raw, script: Path) -> None:
    for _ in range(3):
        dialog.ask(b"one")
    events = dialog.events("GenieDialog_query")
    assert len(events) == 3
    units = {key: value["unit"] for key, value in events[-1].items() if isinstance(value, dict)}
    assert units == {
        "num-prompt-tokens": "",
        "prompt-processing-rate": "toks/sec",
        "time-to-first-token": "us",
        "num-generated-tokens": "",
        "token-generation-rate": "toks/sec",
        "token-generation-time": "us",
    }
    assert events[-1]["stop"] - events[-1]["start"] == events[-1]["duration"]
    assert dialog.events("GenieDialog_create")[0]["init-time"]["unit"] == "us"
    tell(script, [{"kind": "full"}])
    assert dialog.ask(b"one") == 4
    assert len(dialog.events("GenieDialog_query")) == 3


def test_policies_are_kept_until_reset(dialog: Raw) -> None:
    out = dialog.ffi.new("int32_t*")
    assert dialog.status("setPerformancePolicy", 90) == 0
    assert (dialog.status("getPerformancePolicy", out), out[0]) == (0, 90)
    assert dialog.status("reset") == 0
    assert (dialog.status("getPerformancePolicy", out), out[0]) == (0, 10)


def test_borrowed_handles_die_with_their_dialog(library: Library, script: Path) -> None:
    raw = Raw(library, script.with_name("genie_config.json"))
    tokenizer = library.make("Tokenizer", "GenieDialog_getTokenizer", raw.handle)
    assert (
        len(library.data("GenieTokenizer_decode", tokenizer, raw.ffi.new("int32_t[]", [65]), 1))
        == 2
    )
    assert library.status("GenieProfile_free", raw.profile) == -14
    assert raw.status("free") == 0
    assert raw.status("free") == -5
    ids = raw.ffi.new("int32_t[]", [65])
    out, allocate = raw.ffi.new("const char**"), raw.ffi.callback("AllocFn", lambda *_: None)
    assert library.status("GenieTokenizer_decode", tokenizer, ids, 1, allocate, out) == -5
    assert library.status("GenieProfile_free", raw.profile) == 0


def test_a_batch_has_user_data_for_each_and_cannot_rewind(dialog: Raw) -> None:
    ffi = dialog.ffi
    users: list[int] = []
    callback = ffi.callback(
        "TextFn", lambda _t, _c, user: users.append(int(ffi.cast("size_t", user)))
    )
    texts = [ffi.new("char[]", b"one"), ffi.new("char[]", b"two")]
    queries = ffi.new("const char*[]", texts)
    data = ffi.new("const void*[]", [ffi.cast("void*", 11), ffi.cast("void*", 22)])
    assert dialog.status("batchQuery", queries, 2, 5, callback, data) == -2
    assert dialog.status("batchQuery", queries, 2, 0, callback, data) == 0
    assert set(users) == {11, 22}


def test_an_aborted_query_ends_with_end_and_1(dialog: Raw) -> None:
    def stop(text: Any, code: int, _user: Any) -> None:
        dialog._hear(text, code, None)
        if len(dialog.heard) == 2:
            assert dialog.status("signal", 1) == 0

    callback = dialog.ffi.callback("TextFn", stop)
    assert dialog.status("query", b"one", 0, callback, dialog.ffi.NULL) == 1
    assert dialog.heard[-1] == ("", 3)
    assert 2 <= len(dialog.heard) - 1 <= 3
    assert dialog.status("signal", 1) == 0  # idle: nothing
    assert dialog.status("signal", 2) == -2
    assert dialog.ask(b"two") == 0
