"""`npurun.json`: read as the Rust program writes it, written so that it can read it, hostile ones refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.errors import ManifestInvalid, ModelError, ModelFileDamaged
from npurun_tui.models.manifest import Files, Manifest
from npurun_tui.models.names import fault_of_relative_path, normalise
from npurun_tui.models.quantisation import RUST_KINDS, rust_kind
from tests.support.rust_rules import RUST


def write(folder: Path, document: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder / "npurun.json").write_bytes(text)
    return folder


def changed(**fields: Any) -> dict[str, Any]:
    return {**RUST, **fields}


def without(field: str) -> dict[str, Any]:
    return {key: value for key, value in RUST.items() if key != field}


def test_a_manifest_of_the_rust_program(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path, RUST))
    assert manifest.name == "phi-3.5-mini"
    assert manifest.backend == "genie"
    assert manifest.quant == "w4a16"
    assert (manifest.vocab, manifest.context, manifest.qnn_sdk) == (32064, 4096, "2.43.1")
    assert manifest.files.main == "bundle/phi_x/genie_config.json"
    assert manifest.template == SimpleTemplate(
        template="<|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n",
        system_prompt="Be brief.",
        assistant_turn="{assistant}<|end|>\n",
        next_user_turn="<|user|>\n{user}<|end|>\n",
    )
    assert manifest.hash_origin == ""


def test_what_the_rust_program_wrote_is_written_back(tmp_path: Path) -> None:
    Manifest.read(write(tmp_path / "a", RUST)).write(write(tmp_path / "b", {}))
    document = json.loads((tmp_path / "b" / "npurun.json").read_text("utf-8"))
    assert {key: document[key] for key in RUST} == RUST


def cpu_manifest() -> Manifest:
    return Manifest(
        name="smol",
        arch="llama",
        vocab=49152,
        context=8192,
        quant="Q4_1",
        files=Files(model="Smol.Q4_1.gguf"),
        backend="llama.cpp",
        sha256={"Smol.Q4_1.gguf": "c" * 64},
        sizes={"Smol.Q4_1.gguf": 5_000_000_000},
        hash_origin="pinned",
        licence="Apache-2.0",
        source="pip:x==1",
        parameters="135M",
    )


def test_what_is_written_satisfies_the_rust_program_and_comes_back_whole(tmp_path: Path) -> None:
    manifest = cpu_manifest()
    manifest.write(tmp_path)
    document = json.loads((tmp_path / "npurun.json").read_bytes())
    assert document["quant"] == "int4"
    assert document["quant_label"] == "Q4_1"
    assert document["qnn_sdk"] == "0.0.0"
    assert document["files"] == {"model": "Smol.Q4_1.gguf"}
    again = Manifest.read(tmp_path)
    assert again.to_json() == manifest.to_json()
    assert again.sizes == manifest.sizes
    assert (again.quant, again.hash_origin, again.licence) == ("Q4_1", "pinned", "Apache-2.0")


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Q4_1", "int4"), ("Q2_K", "int4"), ("IQ3_XS", "int4"), ("TQ1_0", "int4"), ("Q5_K_M", "int8"),
        ("Q8_0", "int8"), ("F16", "fp16"), ("BF16", "fp16"), ("W4A16", "w4a16"), ("int8", "int8"), ("", "fp16"),
    ],
)  # fmt: skip
def test_the_nearest_word_of_the_rust_enum(label: str, kind: str) -> None:
    assert rust_kind(label) == kind
    assert kind in RUST_KINDS


def test_keys_that_nobody_knows_are_no_fault(tmp_path: Path) -> None:
    assert Manifest.read(write(tmp_path, changed(colour="green", sha256=None))).sha256 == {}


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + json.dumps(RUST).encode()
    assert Manifest.read(write(tmp_path, text)).name == "phi-3.5-mini"


BROKEN: list[tuple[object, str]] = [
    (b"", "is not JSON"),
    (b"{", "is not JSON"),
    (b"\xff\xfe{", "is not UTF-8"),
    (b"null", "one JSON object"),
    (b"[" * 100_000, "nests its values too deeply"),
    (b'{"vocab": ' + b"9" * 5000 + b"}", "holds a number that is none"),
    (b'{"vocab": NaN}', "holds a number that is none"),
    (b" " * (1 << 20) + b"{}", "larger than 1 MB"),
    (without("name"), "name is missing"),
    (without("quant"), "quant is missing"),
    (without("files"), "files must name model or genie_config"),
    (changed(name=""), "name is empty"),
    (changed(name=3), "name must be a text"),
    (changed(name="x" * 300), "name is longer"),
    (changed(name="\ud800"), "name holds half of a surrogate pair"),
    (changed(version="  "), "version is empty"),
    (changed(vocab=0), "vocab must be a whole number from 1 to"),
    (changed(vocab=True), "vocab must be"),
    (changed(vocab=1.5), "vocab must be"),
    (changed(context=-1), "context must be"),
    (changed(context=2**32), "context must be"),
    (changed(context="4096"), "context must be"),
    (changed(quant="q4"), "quant must be one of w4a16"),
    (changed(backend="cuda"), "backend must be"),
    (changed(hash_origin="verified"), "hash_origin must be"),
    (changed(qnn_sdk="2.43"), "qnn_sdk must be MAJOR.MINOR.PATCH"),
    (changed(qnn_sdk="two"), "qnn_sdk must be"),
    (changed(files=[]), "files must be an object"),
    (changed(files={"tokenizer": "t.json"}), "files must name model or genie_config"),
    (changed(files={"model": "../m.bin"}), "files.model leads out of the model's folder"),
    (changed(files={"model": "a/../../m.bin"}), "files.model leads out"),
    (changed(files={"model": "/etc/passwd"}), "files.model is absolute"),
    (changed(files={"model": "C:/x"}), "files.model has a backslash or a colon"),
    (changed(files={"model": "a\\b"}), "files.model has a backslash or a colon"),
    (changed(files={"model": "a\0b"}), "files.model has control characters"),
    (changed(files={"model": "m.bin", "ctx": "nul.txt"}), "files.ctx names a Windows device"),
    (changed(files={"model": "a//b"}), "files.model has an empty part"),
    (changed(files={"model": ""}), "files.model is empty"),
    (changed(files={"model": 5}), "files.model must be a text"),
    (changed(files={"model": "m.bin"}, backend="llama.cpp"), "files.model must name a .gguf file"),
    (changed(chat_template="x"), "chat_template must be an object"),
    (changed(chat_template={"template": "hello"}), "chat_template.template must have {user}"),
    (changed(chat_template={}), "chat_template.template is missing"),
    (
        changed(chat_template={"template": "{user}" + "x" * 70_000}),
        "chat_template.template is longer",
    ),
    (changed(sha256=[]), "sha256 must be an object"),
    (changed(sha256={"a.bin": "A" * 64}), "sha256.a.bin must be 64 lowercase hexadecimal digits"),
    (changed(sha256={"a.bin": "a" * 63}), "sha256.a.bin must be 64"),
    (changed(sha256={"../a.bin": "a" * 64}), "sha256.../a.bin leads out"),
    (changed(sizes=[]), "sizes must be an object"),
    (changed(sizes={"a.bin": -1}), "sizes.a.bin must be a number of bytes"),
    (changed(sizes={"a.bin": True}), "sizes.a.bin must be"),
    (changed(sizes={"a.bin": 2**60}), "sizes.a.bin must be"),
    (changed(sizes={"../a.bin": 1}), "sizes.../a.bin leads out"),
    (changed(licence=["MIT"]), "licence must be a text"),
]


@pytest.mark.parametrize(("document", "sentence"), BROKEN)
def test_a_broken_manifest_is_one_sentence_naming_file_and_field(
    tmp_path: Path, document: object, sentence: str
) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Manifest.read(write(tmp_path, document))
    text = str(caught.value)
    assert sentence in text
    assert text.startswith(str(tmp_path / "npurun.json"))
    assert "\n" not in text
    assert text.endswith(".")


def test_no_manifest_at_all(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"npurun\.json is missing"):
        Manifest.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_manifest_that_is_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "npurun.json")
    with pytest.raises(ManifestInvalid, match="is not a file"):
        Manifest.read(tmp_path)


def test_a_manifest_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "npurun.json").mkdir()
    with pytest.raises(ManifestInvalid, match="is not a file"):
        Manifest.read(tmp_path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from([*RUST, "backend", "quant_label", "source"]), value=_JSON)
def test_whatever_a_field_holds_there_is_a_manifest_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    folder = write(tmp_path_factory.mktemp("m"), changed(**{field: value}))
    sentence = ""
    try:
        manifest = Manifest.read(folder)
        manifest.write(folder)
        assert Manifest.read(folder) == manifest
    except ManifestInvalid as error:
        sentence = str(error)
    assert "\n" not in sentence


@given(st.text(max_size=30))
def test_a_path_that_passes_stays_below_its_folder(path: str) -> None:
    if not fault_of_relative_path(path):
        base = Path("/models/x")
        assert Path(os.path.normpath(base / path)).is_relative_to(base)


# --- spec --------------------------------------------------------------------------------------


def test_the_spec_of_a_cpu_model(tmp_path: Path) -> None:
    (tmp_path / "Smol.Q4_1.gguf").write_bytes(b"GGUF")
    spec = replace(cpu_manifest(), sizes={}).spec(tmp_path, context=2048, threads=3)
    assert spec.backend == "llama.cpp"
    assert spec.model_file == tmp_path / "Smol.Q4_1.gguf"
    assert spec.model_file.is_absolute()
    assert (spec.name, spec.context, spec.threads) == ("smol", 2048, 3)


def test_the_spec_of_a_genie_bundle(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path, RUST))
    config = tmp_path / manifest.files.genie_config
    config.parent.mkdir(parents=True)
    config.write_text("{}")
    spec = manifest.spec(tmp_path)
    assert (spec.backend, spec.model_file, spec.folder) == ("genie", config, tmp_path)
    assert spec.template == manifest.template


@pytest.mark.parametrize("content", [None, b""])
def test_a_model_file_that_is_missing_or_empty(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "Smol.Q4_1.gguf").write_bytes(content)
    with pytest.raises(ModelFileDamaged, match=r"Smol\.Q4_1\.gguf is missing or empty"):
        cpu_manifest().spec(tmp_path)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bare"),
    [("a", "a"), ("phi-3.5_mini", "phi-3.5_mini"), ("smol:latest", "smol"), ("console", "console")],
)
def test_names(name: str, bare: str) -> None:
    assert normalise(name) == bare


@pytest.mark.parametrize(
    "name",
    [
        "", ":latest", "A", "-a", ".a", "a/b", "a\\b", "..", "a:7b", "a b", "a\0", "a\n", "ä", "con", "nul.txt",
        "com1", "lpt9.x", "a.", "x" * 101, "/etc", "C:", "\x1b[31m", "smol\u202e",
    ],
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="is not a model name") as caught:
        normalise(name)
    assert str(caught.value).isprintable()
