"""The GGUF reader: right about good files, and one clear sentence about every other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npurun_tui.engine.cpu import gguf
from npurun_tui.engine.cpu.gguf import GgufInfo, header_digest, read_gguf
from npurun_tui.engine.cpu.gguf_header import FIRST_READ, HeaderReader
from npurun_tui.errors import ModelFileDamaged
from tests.support.work import counted, steps

Value = str | int | bool | float | Sequence["Value"]


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def typed(value: Value) -> tuple[int, bytes]:
    """`(type, bytes)` of a metadata value."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, text(value)
    elements = [typed(element) for element in value]
    kind = elements[0][0] if elements else 4
    body = b"".join(raw for _, raw in elements)
    return 9, struct.pack("<IQ", kind, len(elements)) + body


def build(
    pairs: dict[str, Value],
    tensors: Sequence[tuple[str, Sequence[int], int, int]] = (),
    *,
    data: int = 0,
    version: int = 3,
) -> bytes:
    """A GGUF file with `tensors` (name, dimensions, type, offset) and `data` bytes of them."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, value in pairs.items():
        kind, raw = typed(value)
        out += text(key) + struct.pack("<I", kind) + raw
    for name, dimensions, kind, offset in tensors:
        out += text(name) + struct.pack("<I", len(dimensions))
        out += struct.pack(f"<{len(dimensions)}Q", *dimensions) + struct.pack("<IQ", kind, offset)
    return out + b"\0" * (-len(out) % 32) + b"\0" * data


PAIRS: dict[str, Value] = {
    "general.architecture": "llama",
    "general.name": "A model",
    "general.file_type": 15,
    "llama.context_length": 4096,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "some.array.of.arrays": [[1, 2], [3]],
    "some.float": 1.5,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", "a", "é", ""],
    "tokenizer.ggml.token_type": [2, 3, 3, 1, 1, 3],
    "tokenizer.ggml.merges": ["a b", "c d"],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS = [("first", (64, 2), 0, 0), ("second", (256,), 12, 512)]
GOOD = build(PAIRS, TENSORS, data=512 + 144)


def read(tmp_path: Path, content: bytes, *, vocabulary: bool = False) -> GgufInfo:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_gguf(path, vocabulary=vocabulary)


@pytest.mark.parametrize("version", [2, 3])
def test_what_a_file_says(tmp_path: Path, version: int) -> None:
    content = build(PAIRS, TENSORS, data=512 + 144, version=version)
    info = read(tmp_path, content, vocabulary=True)
    assert (info.architecture, info.name, info.quantisation) == ("llama", "A model", "Q4_K_M")
    assert (info.context_length, info.block_count, info.embedding_length) == (4096, 2, 64)
    assert (info.vocabulary_size, info.tokenizer) == (6, "gpt2")
    assert (info.bos, info.eos, info.eot, info.adds_bos) == (1, 2, -1, True)
    assert (info.bos_text, info.eos_text) == ("<s>", "</s>")
    assert info.end_tokens == {2}
    assert dict(info.control_tokens) == {"<unk>": 0, "<s>": 1, "</s>": 2}
    assert info.chat_template == "{{ messages }}"
    assert (info.tensor_count, info.file_size) == (2, len(content))


def test_without_vocabulary_no_token_is_read(tmp_path: Path) -> None:
    info = read(tmp_path, GOOD)
    assert info.vocabulary_size == 6
    assert not info.control_tokens
    assert info.bos_text == ""


def test_an_empty_file_of_the_right_form_says_nothing(tmp_path: Path) -> None:
    info = read(tmp_path, build({}), vocabulary=True)
    assert info.architecture == info.name == info.chat_template == ""
    assert (info.context_length, info.bos, info.quantisation) == (0, -1, "unknown")


def test_metadata_of_the_wrong_type_is_as_good_as_absent(tmp_path: Path) -> None:
    wrong: dict[str, Value] = {
        "general.architecture": 5,
        "general.name": [1],
        "tokenizer.ggml.tokens": [1, 2],
        "tokenizer.ggml.token_type": ["x"],
        "tokenizer.ggml.bos_token_id": "one",
        "tokenizer.ggml.add_bos_token": 1,
        "general.file_type": True,
    }
    info = read(tmp_path, build(wrong), vocabulary=True)
    assert (info.architecture, info.name, info.bos, info.adds_bos) == ("", "", -1, False)


def test_the_label_comes_from_the_tensors_where_the_file_gives_none(tmp_path: Path) -> None:
    assert read(tmp_path, build({}, TENSORS, data=656)).quantisation == "F32"
    assert read(tmp_path, build({"general.file_type": 999})).quantisation == "unknown"


Q4_K, Q6_K, F16, F32 = (12, 144), (14, 210), (1, 512), (0, 1024)
"""Tensor type and bytes of 256 elements."""


@pytest.mark.parametrize(
    ("file_type", "blocks", "label"),
    [
        (15, [(Q4_K, 20), (Q6_K, 5), (F32, 1)], "Q4_K_M"),
        (2, [(F16, 90), (Q4_K, 10)], "Q4_0"),  # a table of a small model outweighs its layers
        (1, [(Q4_K, 20), (Q6_K, 5), (F32, 1)], "Q4_K"),  # requantised, the label left as it was
        (0, [(Q6_K, 20), (F32, 2)], "Q6_K"),
        (15, [(F16, 20), (F32, 2)], "F16"),
        (999, [(Q4_K, 20), (F32, 1)], "Q4_K"),  # of a type that is newer than the table
        (-1, [(Q4_K, 20), (F32, 1)], "Q4_K"),
        (1, [(F16, 20), (F32, 2)], "F16"),
        (39, [((40, 0), 20), (F32, 1)], "NVFP4"),
    ],
)
def test_the_label_is_what_the_tensors_allow(
    tmp_path: Path, file_type: int, blocks: list[tuple[tuple[int, int], int]], label: str
) -> None:
    tensors, place = [], 0
    for index, ((kind, size), count) in enumerate(blocks):
        tensors.append((f"t{index}", (256, count), kind, place))
        place += size * count
    pairs: dict[str, Value] = {"general.file_type": file_type} if file_type >= 0 else {}
    assert read(tmp_path, build(pairs, tensors, data=place)).quantisation == label


def test_a_key_that_is_there_twice_is_refused_as_llama_cpp_does(tmp_path: Path) -> None:
    content = build({"general.name": "a", "general.nama": "b"}, TENSORS, data=656)
    with pytest.raises(ModelFileDamaged, match=r"general\.name twice"):
        read(tmp_path, content.replace(b"general.nama", b"general.name"))


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for length in range(len(GOOD)):
        path.write_bytes(GOOD[:length])
        with pytest.raises(ModelFileDamaged) as caught:
            read_gguf(path, vocabulary=True)
        assert "pull it again" in caught.value.mend
        assert caught.value.message.count(". ") == 0
    path.write_bytes(GOOD)
    assert read_gguf(path).tensor_count == 2


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_any_change_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for position, value in changes:
        content[position] = value
    try:
        info = read(tmp_path, bytes(content), vocabulary=True)
    except ModelFileDamaged:
        return  # any other exception fails the test
    assert info.file_size == len(GOOD)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too few"),
        (b"hello" * 100, "not a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "more metadata"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "ends after"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 63), "longer than"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77), "type 77"),
        (build({"a": 1})[:36], "ends after"),
        (build({"general.alignment": 0}), "aligned"),
        (build({}, [("t", (1,) * 5, 0, 0)]), "5 dimensions"),
        (build({}, [("t", (1 << 62, 1 << 62), 0, 0)]), "bytes that its tensors need"),
        (build({}, [("t", (1,), 0, 1 << 62)]), "bytes that its tensors need"),
    ],
)
def test_hostile_files_are_refused_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ModelFileDamaged, match=why):
        read(tmp_path, content)


@pytest.mark.parametrize("kind", [4, 8, 9])
def test_an_array_longer_than_the_file_is_refused_at_once(tmp_path: Path, kind: int) -> None:
    array = text("k") + struct.pack("<IIQ", 9, kind, 1 << 62)
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array + b"\0" * 10_000)

    def refuse() -> None:
        with pytest.raises(ModelFileDamaged):
            read_gguf(path)

    steps(refuse, most=10_000)  # to step over the 10,000 bytes alone would take more


def test_a_vocabulary_larger_than_any_model_s_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten million empty texts and their kinds would cost half a minute."""
    pairs: dict[str, Value] = {
        "tokenizer.ggml.tokens": ["a", "b", "c"],
        "tokenizer.ggml.token_type": [3, 3, 3, 3, 3],  # more than there are tokens
    }
    monkeypatch.setattr(gguf, "MAX_TOKENS", 3)
    info = read(tmp_path, build(pairs), vocabulary=True)
    assert dict(info.control_tokens) == {"a": 0, "b": 1, "c": 2}
    monkeypatch.setattr(gguf, "MAX_TOKENS", 2)
    monkeypatch.setattr(HeaderReader, "numbers", None)  # it is not asked for
    with pytest.raises(ModelFileDamaged, match="larger than any"):
        read(tmp_path, build(pairs), vocabulary=True)


def test_arrays_nested_without_end_are_refused(tmp_path: Path) -> None:
    array = text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array
    with pytest.raises(ModelFileDamaged, match="deeply"):
        read(tmp_path, content)


def test_a_hostile_name_is_printable(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nb.gguf"
    path.write_bytes(b"")
    with pytest.raises(ModelFileDamaged) as caught:
        read_gguf(path)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_gguf(tmp_path / "none.gguf")


def with_vocabulary(path: Path, size: int) -> Path:
    """A file of `size` tokens, 10 of them control tokens, and nearly twice as many merges, as real ones have."""
    pairs: dict[str, Value] = dict(PAIRS)
    pairs["tokenizer.ggml.tokens"] = [f"token{index:06d}" for index in range(size)]
    pairs["tokenizer.ggml.token_type"] = [1] * (size - 10) + [3] * 10
    pairs["tokenizer.ggml.merges"] = [f"t o{index:06d}" for index in range(2 * size)]
    path.write_bytes(build(pairs))
    return path


def test_a_large_vocabulary_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tokens as the largest real ones have. The buffer doubles, so what is copied is bounded too."""
    path = with_vocabulary(tmp_path / "model.gguf", 150_000)
    fetches = counted(monkeypatch, HeaderReader, "_fetch")
    info = read_gguf(path, vocabulary=True)
    assert info.control_tokens == {f"token{index}": index for index in range(149_990, 150_000)}
    ends = [end for _, end in fetches]
    assert ends[0] == FIRST_READ
    assert ends[-1] == info.file_size
    assert all(2 * one <= two for one, two in pairwise(ends[:-1]))


def test_a_vocabulary_is_stepped_over(tmp_path: Path) -> None:
    """Some eighty steps for a token and its two merges; to read them as texts would take several hundred."""
    small, large = (
        steps(partial(read_gguf, with_vocabulary(tmp_path / f"{size}", size), vocabulary=True))
        for size in (2_000, 20_000)
    )
    assert (large - small) / 18_000 < 150


def test_the_digest_tells_models_apart(tmp_path: Path) -> None:
    path, other = tmp_path / "model.gguf", tmp_path / "other.gguf"
    path.write_bytes(GOOD)
    other.write_bytes(build(PAIRS | {"general.name": "B model"}, TENSORS, data=656))
    first = header_digest(path, read_gguf(path))
    assert first == header_digest(path, read_gguf(path, vocabulary=True))
    assert first != header_digest(other, read_gguf(other))


@pytest.mark.model
def test_the_real_model(model_file: Path) -> None:
    info = read_gguf(model_file, vocabulary=True)
    assert (info.architecture, info.quantisation) == ("llama", "Q4_1")
    assert (info.context_length, info.vocabulary_size) == (8192, 49152)
    assert info.file_size == 98_362_432
    assert info.control_tokens["<|im_end|>"] == info.eos == 2
    assert "im_start" in info.chat_template


@pytest.mark.model
@pytest.mark.parametrize("keep", [3, 23, 1000, 500_000, 1_785_000, 1_800_000, 98_362_431])
def test_the_real_model_truncated(model_file: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "model.gguf"
    with model_file.open("rb") as source, path.open("wb") as target:
        target.write(source.read(min(keep, 2_000_000)))
        target.truncate(keep)
    with pytest.raises(ModelFileDamaged):
        read_gguf(path)
