"""Small GGUF files that are valid: a header, a vocabulary, one tensor."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping

ALIGNMENT = 32
_U32, _STRING, _ARRAY = 4, 8, 9


def build_gguf(
    *,
    architecture: str = "llama",
    context: int = 512,
    vocabulary: int = 300,
    file_type: int = 3,
    tensor_bytes: int = 4096,
    seed: int = 1,
    template: str = "",
    more: Mapping[str, str | int] | None = None,
    tensors: int = 1,
) -> bytes:
    """A GGUF 3 file; `file_type` 3 is Q4_1, and the tensor is of that type. Its data is noise, so that it does not
    compress. `more` is more metadata; with `tensors` 0 there are no weights."""
    tokens = b"".join(_string(f"token{i}") for i in range(vocabulary))
    pairs = [
        _string("general.architecture") + _u32(_STRING) + _string(architecture),
        _string("general.file_type") + _u32(_U32) + _u32(file_type),
        _string(f"{architecture}.context_length") + _u32(_U32) + _u32(context),
        _string("tokenizer.ggml.tokens") + _u32(_ARRAY) + _u32(_STRING) + _u64(vocabulary) + tokens,
    ]
    if template:
        pairs.append(_string("tokenizer.chat_template") + _u32(_STRING) + _string(template))
    for key, value in (more or {}).items():
        is_text = isinstance(value, str)
        raw = _string(value) if isinstance(value, str) else _u32(value)
        pairs.append(_string(key) + _u32(_STRING if is_text else _U32) + raw)
    floats = tensor_bytes // 4
    kind, elements = (3, tensor_bytes // 20 * 32) if file_type == 3 else (0, floats)
    tensor = _string("token_embd.weight") + _u32(1) + _u64(elements) + _u32(kind) + _u64(0)
    counts = _u64(tensors) + _u64(len(pairs))
    header = b"GGUF" + _u32(3) + counts + b"".join(pairs) + tensor * tensors
    padding = bytes(-len(header) % ALIGNMENT)
    noise = random.Random(seed).randbytes(floats * 4)  # noqa: S311 - the same bytes in each run
    return header + padding + noise


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


def _u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def _string(text: str) -> bytes:
    data = text.encode()
    return _u64(len(data)) + data
