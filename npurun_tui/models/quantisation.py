"""Quantisation names: the exact label that people know, and the nearest one that the Rust program can read.

The Rust program parses `quant` into a closed enum and refuses a manifest with any other word, so a GGUF's `Q4_1` is
written as `int4` there, and the exact label stands beside it in a key of our own.
"""

from __future__ import annotations

import re
from typing import Final

RUST_KINDS: Final = ("w4a16", "w8a16", "int8", "int8-w-int16-a", "int4", "fp16")

_BITS: Final = re.compile(r"(?:I?Q|TQ|MXFP|NVFP)(\d)")


def rust_kind(label: str) -> str:
    """The member of the Rust enum nearest to `label` (`Q4_1` -> `int4`, `Q6_K` -> `int8`, `BF16` -> `fp16`)."""
    if label.lower() in RUST_KINDS:
        return label.lower()
    if match := _BITS.match(label.upper()):
        return "int4" if int(match[1]) <= 4 else "int8"
    return "fp16"
