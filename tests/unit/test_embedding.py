"""Embeddings through real llama.cpp, of a model of noise: not what they mean is tested, but that they are right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.engine.cpu.embedding import EmbeddingDialog, is_embedding
from npurun_tui.engine.cpu.gguf import GgufInfo, read_gguf
from npurun_tui.engine.dialog import Dialog, GenieError, Status
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.loading import open_dialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ContextOverflow, EngineLoadFailed
from tests.support.tiny_llama import BOS, WIDTH, build_tiny_llama

CONTEXT = 64
MEAN, CLS, LAST, RANK = 1, 2, 3, 4


def spec_of(folder: Path, pooling: int | None, *, bos: bool = False, context: int = 0) -> ModelSpec:
    extra: dict[str, str | int | float | bool | list[str] | list[int]] = {
        "tokenizer.ggml.add_bos_token": bos
    }
    if pooling is not None:
        extra["llama.pooling_type"] = pooling
    file = folder / "tiny.gguf"
    file.write_bytes(build_tiny_llama(extra, context=CONTEXT))
    return ModelSpec("tiny", "llama.cpp", folder, file, context=context)


@pytest.fixture(scope="module")
def dialog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dialog]:
    opened = open_dialog(spec_of(tmp_path_factory.mktemp("model"), MEAN))
    yield opened
    opened.close()


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_have_the_models_width_and_the_length_of_1(dialog: Dialog) -> None:
    assert dialog.embeds
    vectors, tokens = dialog.embed(["a cat", "a dog"])
    assert tokens == 10  # bytes
    assert [len(vector) for vector in vectors] == [WIDTH, WIDTH]
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-9) for vector in vectors)
    assert cosine(*vectors) < 0.9999


def test_a_text_has_its_vector_whatever_was_read_before(dialog: Dialog) -> None:
    first = dialog.embed(["the same text"])[0][0]
    others = dialog.embed(["another", "the same text", "the same text!"])[0]
    assert cosine(first, others[1]) == pytest.approx(1, abs=1e-6)
    assert dialog.embed([]) == ([], 0)


def test_a_text_that_is_too_long_is_refused_or_cut(dialog: Dialog) -> None:
    long = "0123456789" * 10
    with pytest.raises(ContextOverflow, match=f"100 tokens.*{CONTEXT}") as caught:
        dialog.embed(["short", long])
    assert caught.value.mend
    assert (caught.value.needed, caught.value.window) == (100, CONTEXT)
    cut, tokens = dialog.embed([long], truncate=True)
    assert tokens == CONTEXT
    whole = dialog.embed([long[:CONTEXT]])[0][0]
    assert cosine(cut[0], whole) == pytest.approx(1, abs=1e-6)


def test_control_tokens_in_a_text_stay_words(dialog: Dialog) -> None:
    assert dialog.embed(["</s>"])[1] == 4
    assert dialog.tokenize("</s>") != dialog.tokenize("<")


def test_an_empty_text_is_refused(dialog: Dialog) -> None:
    with pytest.raises(GenieError, match="empty") as caught:
        dialog.embed(["x", ""])
    assert caught.value.status == Status.ERROR_INVALID_ARGUMENT


def test_it_gives_no_answers(dialog: Dialog) -> None:
    with pytest.raises(GenieError, match="gives no answers"):
        dialog.query("hello")


def test_what_the_model_wants_around_a_text_is_kept_when_it_is_cut(tmp_path: Path) -> None:
    opened = open_dialog(spec_of(tmp_path, LAST, bos=True, context=16))
    try:
        assert opened.context_size == 16
        assert opened.embed(["abc"])[1] == 4
        assert isinstance(opened, EmbeddingDialog)
        server = opened._loaded
        assert server is not None
        assert opened._tokens(server, "x" * 40, truncate=True)[0] == BOS
    finally:
        opened.close()


def test_a_window_longer_than_the_trained_one_is_not_opened(tmp_path: Path) -> None:
    opened = open_dialog(spec_of(tmp_path, MEAN, context=4096))
    try:
        assert opened.context_size == CONTEXT
    finally:
        opened.close()


def test_a_model_that_answers_makes_none(tmp_path: Path) -> None:
    opened = open_dialog(spec_of(tmp_path, None))
    try:
        assert not opened.embeds
        with pytest.raises(GenieError, match="no embeddings"):
            opened.embed(["a"])
    finally:
        opened.close()


def test_a_model_that_ranks_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadFailed, match="ranks"):
        open_dialog(spec_of(tmp_path, RANK))


def info(tmp_path: Path) -> GgufInfo:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(build_tiny_llama())
    return read_gguf(file)


def test_which_models_make_embeddings(tmp_path: Path) -> None:
    plain = info(tmp_path)
    assert not is_embedding(plain)
    assert is_embedding(replace(plain, pooling=LAST))
    assert not is_embedding(replace(plain, pooling=0))
    assert is_embedding(replace(plain, architecture="bert"))
    assert is_embedding(replace(plain, architecture="nomic-bert", pooling=MEAN))
    assert not is_embedding(replace(plain, architecture="bert", pooling=RANK))


async def test_over_the_process_boundary(tmp_path: Path) -> None:
    engine = Engine(log=tmp_path / "engine.log")
    try:
        async with engine.permit("test") as permit:
            model = await permit.load(spec_of(tmp_path, MEAN))
            assert model.embeds
            texts = [f"text {number}" for number in range(10)]
            vectors, tokens = await permit.dialog.embed(texts)
            assert (len(vectors), tokens) == (10, 60)
            assert await permit.dialog.count_tokens("text 1") == 6
            with pytest.raises(ContextOverflow):
                await permit.dialog.embed(["x" * 100])
            cut, tokens = await permit.dialog.embed(["x" * 100], truncate=True)
            assert (len(cut), tokens) == (1, CONTEXT)
    finally:
        await engine.aclose()
