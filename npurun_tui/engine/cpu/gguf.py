"""What a GGUF file says of its model, and whether the file is all there.

`read_gguf` reads the header of GGUF 2 and 3: the metadata that this program uses, and the place of every tensor, so
that a truncated or foreign file is told apart precisely before llama.cpp sees it (which says no more than that it
failed). Nothing is trusted: counts and lengths are bounded by the file's size, texts by sane limits. The vocabulary
itself is left where it is; `GgufInfo.control_tokens` has the few entries that a conversation needs.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.cpu.gguf_header import MAX_PAIRS, ArrayPlace, HeaderReader
from npurun_tui.engine.cpu.gguf_types import (
    CONTROL_TOKEN,
    FILE_TYPES,
    PLAIN_TYPES,
    STRING,
    TENSOR_TYPES,
    UNKNOWN_TOKEN,
)
from npurun_tui.text import one_line

MAX_KEY: Final = 1 << 16
MAX_TEXT: Final = 8 << 20  # one metadata text; the longest known chat templates have some 20 kB
MAX_DIMENSIONS: Final = 4
MAX_TOKENS: Final = 1 << 21  # the largest known vocabularies have some 300,000
MAX_CONTROL_TOKENS: Final = 1 << 14  # real models: up to some thousands (reserved ones)


@dataclass(frozen=True, slots=True)
class GgufInfo:
    """One model file's metadata. Absent texts are "", absent numbers 0, absent token ids -1."""

    architecture: str
    name: str
    context_length: int
    """The context window that the model was trained with, in tokens."""
    block_count: int
    embedding_length: int
    vocabulary_size: int
    tokenizer: str
    """`gpt2` (byte-level BPE), `llama` (SentencePiece), ..."""
    chat_template: str
    """The Jinja source of the chat template."""
    quantisation: str
    """The label people know: `Q4_1`, `Q4_K_M`."""
    bos: int
    eos: int
    eot: int
    adds_bos: bool
    """A prompt to this model begins with its BOS token."""
    tensor_count: int
    file_size: int
    header_size: int
    control_tokens: Mapping[str, int] = field(repr=False)
    """Text -> id of each control token; empty unless asked for."""
    texts: Mapping[int, str] = field(repr=False)
    """Id -> text of the control tokens, BOS, EOS and EOT; empty unless asked for."""
    kind: str = ""
    """`general.type`: `model`, `adapter`, `mmproj`, `imatrix`; "" in older files, most of which are models."""
    size_label: str = ""
    """The number of its parameters as people write it: `135M`, `8x7B`."""
    licence: str = ""
    """As its converter found it in the model's card: `apache-2.0`."""
    parts: int = 0
    """The number of files that the model was split into; 0 where it was not."""
    pooling: int = -1
    """How a text's vectors become one, as llama.cpp numbers it (0 none, 1 mean, 2 CLS, 3 last, 4 rank)."""

    @property
    def bos_text(self) -> str:
        """The BOS token as templates write it; "" where there is none."""
        return self.texts.get(self.bos, "")

    @property
    def eos_text(self) -> str:
        """The EOS token as templates write it; "" where there is none."""
        return self.texts.get(self.eos, "")

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer, as far as the metadata names them."""
        return frozenset(token for token in (self.eos, self.eot) if token >= 0)


def read_gguf(path: Path, *, vocabulary: bool = False) -> GgufInfo:
    """The metadata of the file at `path`, whose tensors are checked to lie inside it.

    With `vocabulary` the control tokens are read too (some 30 ms for 150,000 tokens).

    Raises:
        ModelFileDamaged: not a GGUF file, of a version or byte order that llama.cpp does not read, or truncated.
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        reader = HeaderReader(file, path, path.stat().st_size)
        tensor_count, pair_count = _preamble(reader)
        pairs = _pairs(reader, pair_count)
        types = _tensors(reader, tensor_count, _alignment(reader, pairs))
        tokens = pairs.get("tokenizer.ggml.tokens")
        control, texts = _vocabulary(reader, pairs) if vocabulary else ({}, {})
    view = _View(pairs)
    architecture = view.text("general.architecture")
    return GgufInfo(
        architecture=architecture,
        name=view.text("general.name"),
        context_length=view.number(f"{architecture}.context_length"),
        block_count=view.number(f"{architecture}.block_count"),
        embedding_length=view.number(f"{architecture}.embedding_length"),
        vocabulary_size=tokens.count if isinstance(tokens, ArrayPlace) else 0,
        tokenizer=view.text("tokenizer.ggml.model"),
        chat_template=view.text("tokenizer.chat_template"),
        quantisation=_quantisation(view.number("general.file_type", -1), types),
        bos=view.number("tokenizer.ggml.bos_token_id", -1),
        eos=view.number("tokenizer.ggml.eos_token_id", -1),
        eot=view.number("tokenizer.ggml.eot_token_id", -1),
        adds_bos=view.flag(
            "tokenizer.ggml.add_bos_token",
            # llama.cpp's own rule where the file says nothing: SentencePiece and Llama 3's byte-level BPE
            default=view.text("tokenizer.ggml.model") == "llama"
            or view.text("tokenizer.ggml.pre") in ("llama3", "llama-v3", "llama-bpe"),
        ),
        tensor_count=tensor_count,
        file_size=reader.size,
        header_size=reader.position,
        control_tokens=control,
        texts=texts,
        kind=view.text("general.type"),
        size_label=view.text("general.size_label"),
        licence=view.text("general.license"),
        parts=view.number("split.count"),
        pooling=view.number(f"{architecture}.pooling_type", -1),
    )


def header_digest(path: Path, info: GgufInfo) -> str:
    """A sha256 that tells one model file from another: its header (vocabulary and tensor places) and its size.

    The weights are left out: hashing gigabytes for each saved conversation would cost seconds.
    """
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(info.header_size))
    digest.update(str(info.file_size).encode())
    return digest.hexdigest()


class _View:
    """Metadata with the type that is wanted, or the default: a wrong type is as good as an absent key."""

    def __init__(self, pairs: Mapping[str, Any]) -> None:
        self._pairs = pairs

    def text(self, key: str) -> str:
        value = self._pairs.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        value = self._pairs.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._pairs.get(key)
        return value if isinstance(value, bool) else default


def _preamble(reader: HeaderReader) -> tuple[int, int]:
    """Magic, version and the two counts: `(tensors, pairs)`."""
    if reader.size < 24:
        raise reader.damaged(f"{reader.size} bytes are too few for a GGUF file")
    if reader.data[:4] != b"GGUF":
        raise reader.damaged("it is not a GGUF file")
    reader.position = 4
    version = reader.scalar("I")
    if version not in (2, 3):
        if version & 0xFFFF == 0:
            raise reader.damaged("its numbers are big-endian, which no supported machine reads")
        raise reader.damaged(f"GGUF version {version} is not one of those in use (2 and 3)")
    tensor_count, pair_count = reader.scalar("Q"), reader.scalar("Q")
    if pair_count > MAX_PAIRS:
        raise reader.damaged("it announces more metadata than any model has")
    if tensor_count * 24 > reader.size:  # the least that a tensor's entry needs
        raise reader.truncated()
    return tensor_count, pair_count


def _pairs(reader: HeaderReader, count: int) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for _ in range(count):
        key = reader.string_bytes(MAX_KEY).decode("utf-8", errors="replace")
        if key in pairs:  # llama.cpp takes no such file, and which of the two would count?
            raise reader.damaged(f"its header has {one_line(key, 60)} twice")
        pairs[key] = reader.value(reader.scalar("I"), text_limit=MAX_TEXT)
    return pairs


def _alignment(reader: HeaderReader, pairs: Mapping[str, Any]) -> int:
    alignment = _View(pairs).number("general.alignment", 32)
    if not 1 <= alignment <= 1 << 20:
        raise reader.damaged(f"its tensors cannot be aligned to {alignment} bytes")
    return alignment


def _tensors(reader: HeaderReader, count: int, alignment: int) -> Counter[str]:
    """Check that every tensor lies inside the file; bytes per tensor type."""
    ends: list[int] = []
    types: Counter[str] = Counter()
    for _ in range(count):
        reader.string_bytes(MAX_KEY)
        dimensions = reader.scalar("I")
        if dimensions > MAX_DIMENSIONS:
            raise reader.damaged(f"it has a tensor of {dimensions} dimensions")
        elements = math.prod(reader.scalar("Q") for _ in range(dimensions))
        kind, offset = reader.scalar("I"), reader.scalar("Q")
        name, block, width = TENSOR_TYPES.get(
            kind, ("", 1, 0)
        )  # an unknown type has an unknown size
        length = -(-elements // block) * width
        ends.append(offset + length)
        types[name] += length
    start = -(-reader.position // alignment) * alignment
    wanted = start + max(ends, default=0)
    if ends and wanted > reader.size:
        raise reader.damaged(
            f"it has {reader.size:,} of the {wanted:,} bytes that its tensors need"
        )
    return types


def _quantisation(file_type: int, types: Counter[str]) -> str:
    """The file's own label; the type that most of its bytes have where it gives none, or one that its tensors
    contradict (most of them are quantised, or none is): tools that requantise a file leave the label as it was."""
    label = FILE_TYPES.get(file_type & ~1024, "") if file_type >= 0 else ""  # bit 10: "guessed"
    most = types.most_common(1)[0][0] if types else ""
    quantised = sum(size for name, size in types.items() if name not in PLAIN_TYPES)
    mostly, none = 2 * quantised > types.total(), not quantised and "" not in types
    contradicted = mostly if label in PLAIN_TYPES else none
    return (most if contradicted else label) or label or most or "unknown"


def _vocabulary(
    reader: HeaderReader, pairs: Mapping[str, Any]
) -> tuple[dict[str, int], dict[int, str]]:
    """`(control tokens by text, texts by id)`."""
    tokens, kinds = pairs.get("tokenizer.ggml.tokens"), pairs.get("tokenizer.ggml.token_type")
    if not isinstance(tokens, ArrayPlace) or tokens.kind != STRING:
        return {}, {}
    if tokens.count > MAX_TOKENS:
        raise reader.damaged("its vocabulary is larger than any model's")
    control: set[int] = set()
    if isinstance(kinds, ArrayPlace) and kinds.kind in (4, 5):
        wanted = (CONTROL_TOKEN, UNKNOWN_TOKEN)
        for token, kind in enumerate(reader.numbers(kinds, tokens.count)):
            if kind in wanted:
                control.add(token)
    if len(control) > MAX_CONTROL_TOKENS:
        raise reader.damaged("most of its vocabulary is control tokens")
    view = _View(pairs)
    named = {view.number(f"tokenizer.ggml.{name}_token_id", -1) for name in ("bos", "eos", "eot")}
    wanted_ids = sorted(control | {token for token in named if 0 <= token < tokens.count})
    texts: dict[int, str] = {}
    for token, raw in reader.strings(tokens, wanted_ids).items():
        texts[token] = raw.decode("utf-8", errors="replace")
    return {texts[token]: token for token in sorted(control) if texts[token]}, texts
