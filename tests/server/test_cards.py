"""What clients are told of a model, read from its files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.engine.cpu.dialog import LARGEST_DEFAULT_CONTEXT
from npurun_tui.engine.cpu.gguf import GgufInfo, read_gguf
from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.errors import ModelFileDamaged, ModelNotFound
from npurun_tui.models.manifest import Files, Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.server.cards import Cards, parameter_count
from tests.server.ollama_site import TOOLS_TEMPLATE, add_model
from tests.support.models import add_broken_model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


def add_bundle(store: ModelStore, name: str, **changes: object) -> Path:
    """A Genie bundle with what a card is made of."""
    folder = store.root / name / "bundle"
    folder.mkdir(parents=True)
    config = {"dialog": {"engine": {"backend": {"type": "QnnHtp"}}}}
    (folder / "genie_config.json").write_text(json.dumps(config))
    manifest = Manifest(
        name=name,
        arch="qwen3",
        vocab=151_936,
        context=4096,
        quant="w4a16",
        qnn_sdk="2.45.0",
        files=Files(genie_config="bundle/genie_config.json"),
        template=SimpleTemplate("<|user|>{user}<|end|>", system_prompt="Be brief."),
        tiers=(512, 4096),
    )
    replace(manifest, **changes).write(folder.parent)  # type: ignore[arg-type]
    return folder


def test_a_gguf_model(store: ModelStore) -> None:
    add_model(store, "able", template=TOOLS_TEMPLATE, context=2048)
    (card,) = Cards(store).all()
    assert (card.name, card.format, card.family, card.quantisation) == (
        "able",
        "gguf",
        "llama",
        "Q4_1",
    )
    assert (card.context, card.vocabulary, card.parameter_size) == (2048, 300, "135M")
    assert card.capabilities == ("completion", "tools", "thinking")
    assert card.template == TOOLS_TEMPLATE
    assert len(bytes.fromhex(card.digest)) == 32
    assert card.details["general.parameter_count"] == 135_000_000
    assert card.size > 4096


def test_a_server_that_ignores_tools_says_so(store: ModelStore) -> None:
    add_model(store, "able", template=TOOLS_TEMPLATE)
    able, unable = Cards(store).one("able"), Cards(store, tools=False).one("able")
    assert unable.capabilities == ("completion", "thinking")
    assert able.digest != unable.digest


def test_the_window_is_what_the_engine_would_open(store: ModelStore) -> None:
    add_model(store, "long", context=131_072)
    assert Cards(store).one("long").context == LARGEST_DEFAULT_CONTEXT
    assert Cards(store, context=512).one("long").context == 512
    assert Cards(store).one("long").details["npurun.trained_context"] == 131_072


def test_a_bundle(store: ModelStore) -> None:
    folder = add_bundle(store, "qwen3-4b-instruct")
    cards = Cards(store)
    card = cards.one("qwen3-4b-instruct")
    assert (card.format, card.family, card.context) == ("qnn-genie-bundle", "qwen3", 4096)
    assert (card.parameter_size, card.system) == ("4B", "Be brief.")
    assert card.template == "<|user|>{user}<|end|>"  # no file of the bundle has one
    assert card.capabilities == ("completion",)
    assert card.details["qnn.sdk_version"] == "2.45.0"
    assert card.details["npurun.tiers"] == [512, 4096]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TOOLS_TEMPLATE}))
    better = cards.one("qwen3-4b-instruct")
    assert better.template == TOOLS_TEMPLATE
    assert better.capabilities == ("completion", "tools", "thinking")
    assert better.digest != card.digest  # clients that cache by it see the new capabilities


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"chat_template": 5}', "[" * 100_000])
def test_a_bundles_odd_tokenizer_config_is_no_template(store: ModelStore, text: str) -> None:
    folder = add_bundle(store, "odd", template=None)
    (folder / "tokenizer_config.json").write_text(text)
    assert Cards(store).one("odd").template == ""


def test_an_embedding_model_makes_no_text(store: ModelStore) -> None:
    add_model(store, "vectors", architecture="nomic-bert", context=512)
    card = Cards(store, context=8192).one("vectors")
    assert card.capabilities == ("embedding",)
    assert card.context == 512
    add_model(store, "longer", architecture="nomic-bert", context=8192)
    assert Cards(store).one("longer").context == 2048


def test_digests_are_stable_and_no_two_are_the_same(store: ModelStore) -> None:
    for name in ("one", "two"):
        add_model(store, name)
    first, again = Cards(store).all(), Cards(store).all()
    assert [card.digest for card in first] == [card.digest for card in again]
    assert first[0].digest != first[1].digest


def test_damaged_models_are_left_out(store: ModelStore) -> None:
    add_model(store, "whole")
    add_broken_model(store.root, "no-manifest")
    (add_model(store, "no-model") / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    (add_model(store, "empty") / "model.gguf").write_bytes(b"")
    cards = Cards(store)
    assert [card.name for card in cards.all()] == ["whole"]
    with pytest.raises(ModelFileDamaged):
        cards.one("no-model")
    with pytest.raises(ModelNotFound):
        cards.one("absent")


def test_a_card_is_read_anew_only_where_a_file_changed(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> GgufInfo:
        read.append(path)
        return read_gguf(path)

    monkeypatch.setattr("npurun_tui.server.cards.read_gguf", counted)
    folder = add_model(store, "able")
    cards = Cards(store)
    first = cards.one("able")
    for _ in range(3):
        assert cards.one("able") is first
        assert cards.all() == [first]
    assert len(read) == 1
    os.utime(folder / "model.gguf", ns=(1, 1))
    assert cards.one("able") is not first
    assert len(read) == 2
    store.remove("able")
    assert cards.all() == []
    with pytest.raises(ModelNotFound):
        cards.one("able")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("135M", 135_000_000),
        ("1.5B", 1_500_000_000),
        ("0.6 b", 600_000_000),
        ("unknown", 0),
        ("", 0),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert parameter_count(text) == count


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("qwen-2-5-7b", "7B"),
        ("qwen3-0.6b", "0.6B"),
        ("smollm2-135m-instruct", "135M"),
        ("llama-v3-1-8b-instruct", "8B"),
        ("plain", "unknown"),
    ],
)
def test_sizes_in_names(store: ModelStore, name: str, size: str) -> None:
    add_bundle(store, name)
    assert Cards(store).one(name).parameter_size == size
