"""A bundle on this machine becomes a model: whole, hashed, and never half."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.errors import DiskFull, ModelBusy, ModelError, ModelFileDamaged, UsageError
from npurun_tui.models import transfer
from npurun_tui.models.importing import How, adopt, import_model
from npurun_tui.models.layout import CELL, MAP, PART
from npurun_tui.models.lock import model_lock
from npurun_tui.models.manifest import Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.models.transfer import stands_for_another
from npurun_tui.models.verify import Verdict, verify
from tests.support.gguf import build_gguf
from tests.support.local_bundle import make_bundle
from tests.support.rust_rules import RUST, rust_faults

SWITCHING = "enable-graph-switching"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "source", files={"config.json": {"model_type": "qwen3"}})


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def switching(folder: Path) -> Any:
    document = json.loads((folder / "genie_config.json").read_text("utf-8"))
    return document["dialog"]["engine"]["backend"]["QnnHtp"].get(SWITCHING)


def nothing_left(store: ModelStore, name: str = "source") -> bool:
    return store.scan() == ([], []) and not store.layout.partial(name).exists()


# --- what the Rust program reads -----------------------------------------------------------------


@pytest.mark.parametrize("label", ["w4a16", "w8a8", "w4", "float"])
def test_the_rust_program_reads_what_we_write(store: ModelStore, source: Path, label: str) -> None:
    model = import_model(source, store, quant=label)
    document = json.loads((model.folder / "npurun.json").read_text("utf-8"))
    assert rust_faults(document) == []
    assert document["files"] == {
        "tokenizer": "bundle/tokenizer.json",
        "genie_config": "bundle/genie_config.json",
    }
    assert document["tiers"] == [512, 4096]
    assert document["source"] == "local"
    assert document["hash_origin"] == "recorded"
    assert (
        document["qnn_sdk"] == "2.0.0"
    )  # not known; 0 would be another major release than the runtime's
    assert model.manifest.qnn_sdk == "0.0.0"


HASHLESS: dict[str, Any] = {**RUST, "sha256": {}}


def test_a_folder_of_the_rust_program_is_taken_with_what_its_manifest_says(
    store: ModelStore, tmp_path: Path
) -> None:
    """Its bundle lies two folders deeper; in place the manifest is made anew, elsewhere the model is brought here."""
    outside, inside = tmp_path / "elsewhere" / "phi", store.root / "phi"
    for folder in (outside, inside):
        make_bundle(folder / "bundle" / "phi_x", special=())
        (folder / "npurun.json").write_text(json.dumps(HASHLESS))
    with pytest.raises(UsageError, match="belongs to the model phi"):  # half of it would stay
        import_model(outside, store, name="other", how="move")
    brought = import_model(outside, store, name="other").manifest
    made = adopt(inside, store, force=True).manifest
    for manifest in (brought, made):
        assert (manifest.arch, manifest.quant, manifest.qnn_sdk) == ("phi3", "w4a16", "2.43.1")
        assert manifest.template is not None
        assert manifest.template.system_prompt == RUST["chat_template"]["system_prompt"]
        assert (manifest.vocab, manifest.tiers) == (151936, (512, 4096))  # the bundle's own word
    assert made.files.genie_config == "bundle/phi_x/genie_config.json"
    assert brought.files.genie_config == "bundle/genie_config.json"


def test_a_pull_of_the_rust_program_that_was_killed_is_finished_in_place(
    store: ModelStore,
) -> None:
    """It unpacks where the model is to be and writes its manifest last."""
    folder = store.root / "phi"
    make_bundle(folder / "bundle" / "phi_x")
    (folder / ".pull.zip").write_bytes(b"PK")
    model = adopt(folder, store, arch="phi3", quant="w4a16")
    assert model.manifest.files.tokenizer == "bundle/phi_x/tokenizer.json"
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (("chat_template",), {}),
        (("sha256",), {}),
        (("chat_template", "sha256"), {"arch": ""}),
        ((), {"chat_template": {"system_prompt": "", "template": "{user}"}}),
        ((), {"qnn_sdk": "2.45.0-rc.1+build.7", "name": "Phi 3.5 (mine)"}),
        (
            (),
            {
                "files": {
                    **HASHLESS["files"],
                    "model": "bundle/phi_x/model_part_1_of_2.bin",
                    "ctx": "bundle/phi_x/model_part_2_of_2.bin",
                    "config": "bundle/phi_x/htp_backend_ext_config.json",
                },
                "quant": "int8-w-int16-a",
            },
        ),
    ],
)
def test_every_optional_field_of_the_rust_program_may_be_there_or_not(
    store: ModelStore, less: tuple[str, ...], more: dict[str, Any]
) -> None:
    folder = store.root / "phi"
    make_bundle(folder / "bundle" / "phi_x")
    document = {key: value for key, value in {**HASHLESS, **more}.items() if key not in less}
    assert rust_faults({"sha256": {}, **document}) == []
    (folder / "npurun.json").write_text(json.dumps(document))
    assert store.get("phi").name == "phi"
    assert store.scan()[1] == []


def test_hashes_of_the_rust_program_are_compared(store: ModelStore) -> None:
    """Its pull writes the hash of the archive, its converter one of each file, on Windows perhaps with backslashes."""
    folder = store.root / "phi"
    root = make_bundle(folder / "bundle" / "phi_x")
    tokenizer = hashlib.sha256((root / "tokenizer.json").read_bytes()).hexdigest()
    hashes = {
        "archive": "a" * 64,
        "genie_config": "b" * 64,
        "bundle\\phi_x\\tokenizer.json": tokenizer,
        "bundle/phi_x/gone.bin": "c" * 64,
    }
    (folder / "npurun.json").write_text(json.dumps({**HASHLESS, "sha256": hashes}))
    assert dict(verify(store.get("phi"))) == {
        "bundle/phi_x/genie_config.json": Verdict.DIFFERS,
        "bundle/phi_x/tokenizer.json": Verdict.SAME,
        "bundle/phi_x/gone.bin": Verdict.MISSING,
    }


# --- copying, linking, moving ----------------------------------------------------------------------


def test_a_copy_is_whole_and_hashed(store: ModelStore, source: Path) -> None:
    before = snapshot(source)
    steps: list[tuple[int, int]] = []
    model = import_model(
        source, store, quant="w4a16", progress=lambda done, total: steps.append((done, total))
    )
    assert snapshot(source) == before
    total = sum(map(len, before.values()))
    assert steps[-1] == (total, total)
    assert steps == sorted(steps)
    assert model.processor == "NPU"
    bundle = model.folder / "bundle"
    assert switching(bundle) is True
    assert switching(source) is None
    assert [flag.words for flag in model.manifest.flags] == [
        "enable-graph-switching on in genie_config.json: graphs are named prompt_ and token_"
    ]
    copied = snapshot(bundle)
    assert {k: v for k, v in copied.items() if k != "genie_config.json"} == {
        k: v for k, v in before.items() if k != "genie_config.json"
    }
    assert model.manifest.sha256 == {
        f"bundle/{name}": hashlib.sha256(data).hexdigest() for name, data in copied.items()
    }
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}
    assert not store.layout.partial("source").exists()


def test_no_flag_where_the_graphs_do_not_call_for_it(store: ModelStore, tmp_path: Path) -> None:
    model = import_model(
        make_bundle(tmp_path / "old", staged=False), store, arch="x", quant="w4a16"
    )
    assert switching(model.folder / "bundle") is None
    (flag,) = model.manifest.flags
    assert (flag.value, flag.why) == (None, "no graph is named prompt_ or token_")
    silent = make_bundle(tmp_path / "silent")
    for part in (1, 2):
        (silent / f"model_part_{part}_of_2.bin").write_bytes(bytes(1000))
    (flag,) = import_model(silent, store, arch="x", quant="w4a16").manifest.flags
    assert (flag.value, flag.why) == (None, "the context binaries name no graphs")


def test_a_bundle_for_pictures_and_text(store: ModelStore, source: Path) -> None:
    """Its second config gets the flag too; its table of embeddings and its encoder are files like others."""
    document = json.loads((source / "genie_config.json").read_text())
    dialog = document["dialog"]
    dialog["embedding"] = {"type": "lut", "lut-path": "embedding_weights.raw", "size": 3584}
    (source / "genie_config.json").write_text(json.dumps(document))
    (source / "text-generator.json").write_text(json.dumps({"text-generator": dialog}))
    (source / "img-enc-htp.json").write_text("[not JSON")
    (source / "vision_encoder.bin").write_bytes(b"enc")
    with pytest.raises(ModelFileDamaged, match="embedding_weights"):
        import_model(source, store, quant="w4a16")
    (source / "embedding_weights.raw").write_bytes(bytes(1000))
    model = import_model(source, store, quant="w4a16")
    assert [(flag.file, flag.value) for flag in model.manifest.flags] == [
        ("genie_config.json", True),
        ("text-generator.json", True),
    ]
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}
    assert "bundle/embedding_weights.raw" in model.manifest.sizes


@pytest.mark.skipif(os.name == "nt", reason="asks for inodes")
def test_links_share_the_weights_but_not_the_configs(store: ModelStore, source: Path) -> None:
    weights = source / "model_part_1_of_2.bin"
    weights.write_bytes(weights.read_bytes() + bytes(2 << 20))
    before = snapshot(source)
    model = import_model(source, store, quant="w4a16", how="link")
    bundle = model.folder / "bundle"
    assert (bundle / weights.name).samefile(weights)
    assert not (bundle / "genie_config.json").samefile(source / "genie_config.json")
    assert snapshot(source) == before
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}
    store.remove("source")
    assert snapshot(source) == before


def test_a_move_leaves_nothing_behind(store: ModelStore, source: Path) -> None:
    names = set(snapshot(source))
    model = import_model(source, store, quant="w4a16", how="move")
    assert not source.exists()
    assert set(snapshot(model.folder / "bundle")) == names


def test_a_move_leaves_what_was_written_meanwhile(store: ModelStore, source: Path) -> None:
    """Of a file that was copied, what somebody wrote afterwards is in no model."""
    config = source / "config.json"

    def progress(done: int, total: int) -> None:
        if done == total:
            config.write_text('{"model_type": "mine"}')

    import_model(source, store, quant="w4a16", how="move", progress=progress)
    assert snapshot(source) == {"config.json": b'{"model_type": "mine"}'}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("below", [True, False])
def test_a_move_takes_nothing_that_a_link_leads_to(
    store: ModelStore, source: Path, below: bool
) -> None:
    before = snapshot(source)
    folder = source.parent / "links"
    folder.mkdir()
    (folder / "link").symlink_to(source, target_is_directory=True)
    with pytest.raises((ModelError, UsageError), match=r"no Genie bundle|by links"):
        import_model(
            folder if below else folder / "link", store, name="m", quant="w4a16", how="move"
        )
    assert snapshot(source) == before
    assert nothing_left(store, "m")
    if below:  # nor does a copy
        with pytest.raises(ModelFileDamaged, match="no Genie bundle"):
            import_model(folder, store, name="m", quant="w4a16")


MUTATIONS = {"os.rename", "os.remove", "os.rmdir", "os.link"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked copies of this process")
def test_a_move_that_is_killed_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """Before each change of the file system in turn the process is gone."""
    kept = make_bundle(tmp_path / "kept", files={"config.json": {"model_type": "qwen3"}})
    (kept / "model_part_1_of_2.bin").write_bytes(b"token_ar1_cl512".ljust(1 << 20, b"x"))
    config = (kept / "genie_config.json").read_bytes()  # the one file that is not moved as it is
    whole = set(snapshot(kept).values()) - {config}
    step, ended = 0, False
    while not ended:
        step += 1
        place = tmp_path / str(step)
        source, store = place / "source", ModelStore(place / "models")
        shutil.copytree(kept, source)
        ended = _killed_before(step, source, store)
        assert whole <= set(snapshot(place).values()), step
        installed, broken = store.scan()
        assert not broken
        if not installed:  # then the source is what it was
            assert set(snapshot(source).values()) == {*whole, config}, step
    assert step > 10
    assert not source.exists()


def _killed_before(step: int, source: Path, store: ModelStore) -> bool:
    """Move `source` in a child that is gone before its change number `step`; whether it came to its end instead."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    left = step

    def hook(event: str, _arguments: object) -> None:
        nonlocal left
        if event in MUTATIONS:
            left -= 1
            if not left:
                os._exit(9)

    os.fsync = lambda fd: None  # a killed process needs none
    sys.addaudithook(hook)
    try:
        import_model(source, store, quant="w4a16", how="move")
    finally:
        os._exit(0)


def test_a_move_leaves_what_it_did_not_take(store: ModelStore, source: Path) -> None:
    (source / ".notes").write_text("mine")
    import_model(source, store, quant="w4a16", how="move")
    assert snapshot(source) == {".notes": b"mine"}


@pytest.mark.parametrize("how", ["copy", "link", "move"])
def test_a_gguf_file(store: ModelStore, tmp_path: Path, how: How) -> None:
    file = tmp_path / "tiny.gguf"
    data = build_gguf(tensor_bytes=2 << 20)
    file.write_bytes(data)
    model = import_model(file, store, name="tiny", how=how)
    assert (model.folder / "tiny.gguf").read_bytes() == data
    assert model.processor == "CPU"
    assert model.manifest.sha256 == {"tiny.gguf": hashlib.sha256(data).hexdigest()}
    assert file.exists() == (how != "move")
    assert tmp_path.exists()
    assert rust_faults(json.loads((model.folder / "npurun.json").read_text())) == []


def test_a_linked_file_is_copied_but_never_moved(store: ModelStore, tmp_path: Path) -> None:
    """What the link leads to may be another model's, or belong to a cache."""
    file, link = tmp_path / "blob.gguf", tmp_path / "links" / "tiny.gguf"
    file.write_bytes(build_gguf(tensor_bytes=1000))
    link.parent.mkdir()
    link.symlink_to(file)
    with pytest.raises(UsageError, match="links"):
        import_model(link, store, name="tiny", how="move")
    assert file.exists()
    assert link.is_symlink()
    import_model(link, store, name="tiny", how="copy")
    assert file.exists()


# --- what is in the way --------------------------------------------------------------------------


def test_a_name_that_is_taken(store: ModelStore, source: Path) -> None:
    first = import_model(source, store, quant="w4a16")
    with pytest.raises(ModelError, match="already"):
        import_model(source, store, quant="w8a16")
    assert store.get(first.name).manifest.quant == "w4a16"
    assert import_model(source, store, quant="w8a16", force=True).manifest.quant == "w8a16"


def test_a_pull_of_that_name_is_not_thrown_away_silently(store: ModelStore, source: Path) -> None:
    partial = store.layout.partial("source")
    partial.mkdir(parents=True)
    (partial / PART).write_bytes(bytes(700))
    (partial / MAP).write_bytes(CELL.pack(700, 0))
    with pytest.raises(ModelError, match=r"700 B of it are here.* rm source"):
        import_model(source, store, quant="w4a16")
    assert store.partials() == {"source": 700}
    import_model(source, store, quant="w4a16", force=True)
    assert store.partials() == {}


def test_a_link_that_cannot_be_made_is_a_sentence(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: Path, **_more: object) -> None:
        raise OSError(18, "Invalid cross-device link", str(paths[0]), None, str(paths[1]))

    file = tmp_path / "tiny.gguf"
    file.write_bytes(build_gguf(tensor_bytes=2 << 20))
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ModelError, match=r"models' folder: Invalid cross-device link\. Links need"):
        import_model(file, store, how="link")
    assert nothing_left(store, "tiny")
    assert import_model(file, store, how="move").shared == 0
    assert not file.exists()


def test_removing_a_linked_model_frees_only_what_is_its_own(
    store: ModelStore, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(build_gguf() + bytes(2 << 20))
    model = import_model(file, store, how="link")
    assert model.shared == file.stat().st_size
    assert store.remove("tiny") == model.size - model.shared < 5000
    assert file.is_file()


def test_a_folder_that_is_no_model_is_left_alone(store: ModelStore, source: Path) -> None:
    mine = store.root / "source" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for force in (False, True):
        with pytest.raises(ModelError, match="left alone"):
            import_model(source, store, quant="w4a16", force=force)
    assert mine.read_text() == "mine"


def test_only_one_at_a_time(store: ModelStore, source: Path) -> None:
    with model_lock(store.layout.partial_root, "source"), pytest.raises(ModelBusy):
        import_model(source, store, quant="w4a16")


def test_no_room(store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(source)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DiskFull, match="are free"):
        import_model(source, store, quant="w4a16")
    assert nothing_left(store)


def test_places_that_cannot_be_meant(store: ModelStore, source: Path) -> None:
    model = import_model(source, store, name="m", quant="w4a16")
    with pytest.raises(UsageError, match="--in-place"):
        import_model(model.folder, store, name="m", quant="w4a16", force=True)
    with pytest.raises(UsageError, match="belongs to the model m"):
        import_model(model.folder, store, name="other", quant="w4a16", how="move")
    around = store.root.parent
    shutil.copytree(source, around, dirs_exist_ok=True)
    with pytest.raises(UsageError, match="holds the models' folder"):
        import_model(around, store, name="x", quant="w4a16")
    assert [model.name for model in store.scan()[0]] == ["m"]


# --- hostile sources -------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("how", ["copy", "link", "move"])
def test_a_link_in_the_bundle_is_refused(store: ModelStore, source: Path, how: How) -> None:
    secret = source.parent / "secret"
    secret.write_text("secret")
    (source / "extra.bin").symlink_to(secret)
    with pytest.raises(ModelFileDamaged, match=r"extra\.bin.* is a link"):
        import_model(source, store, quant="w4a16", how=how)
    assert nothing_left(store)
    assert secret.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_linked_folder_is_refused(store: ModelStore, source: Path) -> None:
    (source / "sub").symlink_to(source.parent, target_is_directory=True)
    with pytest.raises(ModelFileDamaged, match="is a link"):
        import_model(source, store, quant="w4a16")
    assert nothing_left(store)


@pytest.mark.parametrize(
    ("tag", "link"),
    [(0, False), (0x9000001A, False), (0xA0000003, True), (0xA000000C, True)],
    ids=["folder", "OneDrive", "junction", "link"],
)
def test_what_stands_for_another_folder_on_windows(tag: int, link: bool) -> None:
    assert stands_for_another(tag) is link


def test_a_folder_that_is_no_model_s(
    store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's whole disk below a bundle is not copied."""
    monkeypatch.setattr(transfer, "_MOST", len(snapshot(source)))
    assert import_model(source, store, name="all", quant="w4a16").name == "all"
    monkeypatch.setattr(transfer, "_MOST", len(snapshot(source)) - 1)
    with pytest.raises(ModelFileDamaged, match="holds more than"):
        import_model(source, store, quant="w4a16")
    monkeypatch.undo()
    deep = source.joinpath(*"abcdefghijklmnop")
    deep.mkdir(parents=True)
    assert import_model(source, store, name="deep", quant="w4a16").name == "deep"
    (deep / "q").mkdir()
    with pytest.raises(ModelFileDamaged, match="nested too deeply"):
        import_model(source, store, quant="w4a16")
    assert [model.name for model in store.scan()[0]] == ["all", "deep"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused(store: ModelStore, source: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(ModelFileDamaged, match="no regular file"):
        import_model(source, store, quant="w4a16")
    assert nothing_left(store)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("name", ["a:b", "back\\slash", "con.txt", "dot.", "e\x1b[2Jc"])
def test_names_that_another_platform_cannot_have(
    store: ModelStore, source: Path, name: str
) -> None:
    (source / name).write_text("x")
    with pytest.raises(ModelFileDamaged, match="cannot be a model file's name") as caught:
        import_model(source, store, quant="w4a16")
    assert "\x1b" not in str(caught.value)
    assert nothing_left(store)


@pytest.mark.parametrize("how", ["copy", "link", "move"])
def test_a_file_that_changes_while_it_is_hashed(store: ModelStore, source: Path, how: How) -> None:
    """Of the same length, as a download into a file of its final size is."""
    weights = source / "model_part_1_of_2.bin"
    weights.write_bytes(b"token_ar1_cl512".ljust(3 << 20, b"x"))

    def progress(done: int, _total: int) -> None:
        if 1 << 20 < done < 3 << 20:
            with weights.open("r+b") as file:
                file.write(b"y")
            os.utime(weights, ns=(done, done))

    with pytest.raises(ModelFileDamaged, match="changed while it was read"):
        import_model(source, store, quant="w4a16", how=how, progress=progress)
    assert nothing_left(store)
    assert weights.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("what", ["longer", "a pipe", "a link"])
def test_a_file_that_is_another_one_when_its_turn_comes(
    store: ModelStore, source: Path, what: str
) -> None:
    tokenizer = source / "tokenizer.json"

    def progress(_done: int, _total: int) -> None:
        if tokenizer.is_symlink() or not tokenizer.is_file() or tokenizer.stat().st_size > 2000:
            return
        data = tokenizer.read_bytes()
        tokenizer.unlink()
        if what == "a pipe":
            os.mkfifo(tokenizer)
        elif what == "a link":
            (source.parent / "elsewhere").write_bytes(data)
            tokenizer.symlink_to(source.parent / "elsewhere")
        else:
            tokenizer.write_bytes(data.ljust(3000))

    with pytest.raises(ModelFileDamaged, match=r"^tokenizer\.json (changed|of the source)"):
        import_model(source, store, quant="w4a16", progress=progress)
    assert nothing_left(store)


def test_a_source_that_cannot_be_read_is_named_and_not_the_models_folder(
    store: ModelStore, source: Path
) -> None:
    """It is gone when its turn comes."""

    def progress(_done: int, _total: int) -> None:
        (source / "tokenizer.json").unlink(missing_ok=True)

    with pytest.raises(ModelFileDamaged, match=r"^tokenizer\.json of the source cannot be read"):
        import_model(source, store, quant="w4a16", progress=progress)
    assert nothing_left(store)


def test_a_config_that_names_a_hidden_file(store: ModelStore, source: Path) -> None:
    """Hidden files are not brought, so the model would not load."""
    config = source / "genie_config.json"
    config.write_text(config.read_text().replace("model_part_2_of_2.bin", ".part2.bin"))
    (source / "model_part_2_of_2.bin").rename(source / ".part2.bin")
    for how in ("copy", "move"):
        with pytest.raises(ModelFileDamaged, match=r"\.part2\.bin.* not in the bundle"):
            import_model(source, store, quant="w4a16", how=how)
    assert (source / ".part2.bin").exists()
    assert nothing_left(store)


def test_figures_that_no_manifest_can_hold(store: ModelStore, source: Path) -> None:
    config = source / "genie_config.json"
    config.write_text(config.read_text().replace("151936", str(2**40)))
    with pytest.raises(ModelError, match="vocab"):
        import_model(source, store, quant="w4a16")
    config.write_text(
        config.read_text().replace(str(2**40), "1").replace("tokenizer.json", "t*.json")
    )
    (source / "tokenizer.json").rename(source / "t*.json")
    before = snapshot(source)
    read: list[int] = []
    with pytest.raises(ModelError, match=r"t\*\.json"):
        import_model(source, store, quant="w4a16", progress=lambda done, _: read.append(done))
    assert not read  # told before gigabytes were copied
    assert nothing_left(store)
    folder = store.root / "mine"
    shutil.copytree(source, folder)
    with pytest.raises(ModelError, match="tokenizer"):
        adopt(folder, store, quant="w4a16")
    assert snapshot(folder) == before  # no flag was set in what does not become a model


# --- ends in the middle ------------------------------------------------------------------------------


class Stop(Exception):
    """Somebody cancelled."""


@pytest.mark.parametrize("how", ["copy", "link", "move"])
@pytest.mark.parametrize("after", [0, 3, 9])
def test_cancelling_leaves_nothing(store: ModelStore, source: Path, how: How, after: int) -> None:
    before, calls = snapshot(source), 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Stop

    with pytest.raises(Stop):
        import_model(source, store, quant="w4a16", how=how, check=check)
    assert nothing_left(store)
    assert snapshot(source) == before
    assert import_model(source, store, quant="w4a16", how=how).name == "source"


def test_the_search_for_graphs_can_be_cancelled(store: ModelStore, source: Path) -> None:
    """Binaries that name none are searched to their end, which takes seconds for gigabytes."""
    for part in (1, 2):
        os.truncate(source / f"model_part_{part}_of_2.bin", 0)
        os.truncate(source / f"model_part_{part}_of_2.bin", 3 << 20)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise Stop

    with pytest.raises(Stop):  # and not that no file says the quantisation, which comes after it
        import_model(source, store, check=check)
    shutil.copytree(source, store.root / "mine")
    calls = 0
    with pytest.raises(Stop):
        adopt(store.root / "mine", store, check=check)


def test_cancelling_keeps_the_old_model(store: ModelStore, source: Path) -> None:
    import_model(source, store, quant="w4a16")

    def check() -> None:
        raise Stop

    with pytest.raises(Stop):
        import_model(source, store, quant="w8a16", force=True, check=check)
    assert store.get("source").manifest.quant == "w4a16"


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_kill_leaves_nothing_that_list_shows(store: ModelStore, source: Path) -> None:
    (source / "more.bin").write_bytes(bytes(20 << 20))
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from npurun_tui.models.importing import import_model\n"
        "from npurun_tui.models.store import ModelStore\n"
        "def slow(done, total):\n"
        "    if done > total // 2: print('half', flush=True); time.sleep(60)\n"
        "import_model(Path(sys.argv[1]), ModelStore(Path(sys.argv[2])), quant='w4a16',\n"
        "             how='move', progress=slow)\n"
    )
    before = snapshot(source)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(source), str(store.root)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        os.kill(child.pid, signal.SIGKILL)
    assert store.scan() == ([], [])
    assert snapshot(source) == before
    began = time.monotonic()
    assert import_model(source, store, quant="w4a16").size > 20 << 20
    assert time.monotonic() - began < 60


# --- in place ------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_model_where_it_lies(store: ModelStore, source: Path) -> None:
    folder = store.root / "mine"
    shutil.copytree(source, folder / "bundle")
    model = adopt(folder, store, quant="w4a16")
    assert model.name == "mine"
    assert switching(folder / "bundle") is True
    assert model.manifest.files.genie_config == "bundle/genie_config.json"
    assert {verdict for _, verdict in verify(model)} == {Verdict.SAME}
    with pytest.raises(ModelError, match="already"):
        adopt(folder, store, quant="w4a16")
    again = adopt(folder, store, quant="w4a16", force=True)
    assert again.manifest.sha256 == model.manifest.sha256
    assert again.manifest.flags == model.manifest.flags  # we set it, and not the author
    other = import_model(folder, store, name="other")
    assert other.manifest.flags == model.manifest.flags
    (folder / "npurun.json").unlink()
    assert adopt(folder, store, quant="w4a16").manifest.flags[0].why == "the author set it"
    assert rust_faults(Manifest.read(folder).to_json()) == []


def test_a_manifest_that_cannot_be_made_anew_stays(store: ModelStore, source: Path) -> None:
    folder = store.root / "mine"
    shutil.copytree(source, folder)
    adopt(folder, store, quant="w4a16")
    before = (folder / "npurun.json").read_bytes()
    config = folder / "genie_config.json"
    config.write_text(config.read_text().replace("151936", str(2**40)))
    with pytest.raises(ModelError, match="vocab"):
        adopt(folder, store, quant="w4a16", force=True)
    assert (folder / "npurun.json").read_bytes() == before


def test_weights_that_were_cut_are_damage_and_an_edited_config_is_none(
    store: ModelStore, source: Path
) -> None:
    model = import_model(source, store, quant="w4a16")
    config = model.folder / "bundle" / "genie_config.json"
    config.write_text(config.read_text() + "\n")
    assert store.get("source").manifest.sizes == model.manifest.sizes
    os.truncate(model.folder / "bundle" / "model_part_1_of_2.bin", 10)
    with pytest.raises(ModelFileDamaged, match=r"has 10 B .* convert manifest --force"):
        store.get("source")
    assert [broken.name for broken in store.scan()[1]] == ["source"]


def test_a_bare_bundle_and_a_gguf_in_place(store: ModelStore, source: Path) -> None:
    shutil.copytree(source, store.root / "bare")
    assert adopt(store.root / "bare", store, quant="w4a16").manifest.files.genie_config == (
        "genie_config.json"
    )
    (store.root / "tiny").mkdir()
    (store.root / "tiny" / "t.gguf").write_bytes(build_gguf())
    assert adopt(store.root / "tiny", store).manifest.files.model == "t.gguf"


def test_a_folder_that_is_found_although_it_is_spelled_otherwise(
    store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows and macOS; `list` would show it by the name that it has."""
    shutil.copytree(source, store.root / "mine")
    listdir = os.listdir
    monkeypatch.setattr(
        os, "listdir", lambda folder: [name.replace("mine", "Mine") for name in listdir(folder)]
    )
    with pytest.raises(UsageError, match="spelled otherwise"):
        adopt(store.root / "mine", store, quant="w4a16")
    assert not (store.root / "mine" / "npurun.json").exists()


def test_only_below_the_models_folder(store: ModelStore, source: Path) -> None:
    store.root.mkdir()
    with pytest.raises(UsageError, match="directly below"):
        adopt(source, store, quant="w4a16")
    assert not (source / "npurun.json").exists()
    shutil.copytree(source, store.root / "Not A Name")
    with pytest.raises(ModelError, match="not a model name"):
        adopt(store.root / "Not A Name", store, quant="w4a16")
