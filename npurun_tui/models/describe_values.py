"""The values of a manifest in the making, each with where it was read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from npurun_tui.errors import UsageError
from npurun_tui.models.describe_files import Facts
from npurun_tui.models.manifest import FILE_NAME, NO_SDK, Manifest
from npurun_tui.models.quantisation import rust_kind
from npurun_tui.text import one_line

GIVEN: Final = "given"
"""Where a value is from that the caller gave."""

_ARCHS: Final = {"qwen2_vl": "qwen2-vl", "qwen2_5_vl": "qwen2-vl"}
"""Hugging Face's `model_type` -> the word that the Rust program's catalog has; others are the same in both."""

_WEIGHTS: Final = re.compile(r"w([0-9]+)(?:a[0-9]+)?(?![0-9])")
_PLAIN: Final = frozenset({"float", "float16", "float32", "fp16", "fp32", "f16", "f32", "bf16"})
_VERSION: Final = re.compile(r"([0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})(?:[.+-].*)?")


class Values:
    """Values by field, the first that somebody says; and who said it."""

    def __init__(self, given: dict[str, str]) -> None:
        self._values = {key: value for key, value in given.items() if value}
        self.origins = dict.fromkeys(self._values, GIVEN)

    def offer(self, key: str, value: str, origin: str) -> None:
        """Take `value` where it is one and none was taken before."""
        value = one_line(value, 64)
        if value and key not in self._values:
            self._values[key] = value
            self.origins[key] = origin

    def __getitem__(self, key: str) -> str:
        return self._values.get(key, "")


def check_given(arch: str, quant: str, qnn_sdk: str) -> None:
    """Raises UsageError where a value cannot be one."""
    for flag, value in (("--arch", arch), ("--quant", quant)):
        if value and (one_line(value, 64) != value):
            raise UsageError(f"{flag} {one_line(value, 40)!r} is no such word.")
    if quant and not _is_label(quant):
        raise UsageError(
            f"--quant {one_line(quant, 40)!r} is no quantisation.",
            mend="For example `--quant w4a16` (w8a16, int4, int8, float, Q4_K_M).",
        )
    if qnn_sdk and not clean_version(qnn_sdk):
        raise UsageError(
            f"--qnn-sdk {one_line(qnn_sdk, 40)!r} is not MAJOR.MINOR.PATCH.",
            mend="For example `--qnn-sdk 2.45.0`.",
        )


def clean_version(version: str) -> str:
    """The three numbers that a QAIRT release's name begins with (`2.45.0.260326` -> `2.45.0`); "" where it has none."""
    match = _VERSION.fullmatch(version.strip().lstrip("vV"))
    return match[1] if match else ""


def offer_facts(values: Values, files: Sequence[Facts]) -> None:
    """Offer what `files`, the most trustworthy first, say of architecture, quantisation and QAIRT release."""
    for facts in files:
        kind = facts.get("model_type")
        values.offer("arch", _ARCHS.get(kind, kind), facts.file)
        values.offer("quant", facts.get("precision", "quantization", "quantisation"), facts.file)
        version = facts.get(
            "qairt", "qairt_version", "qairt_sdk_version", "qnn_sdk", "qnn_sdk_version"
        )
        values.offer("qnn_sdk", clean_version(version), facts.file)


def offer_manifest(values: Values, manifest: Manifest) -> None:
    """Offer what an older manifest of the same files says; it knows less well than they do."""
    values.offer("arch", manifest.arch, FILE_NAME)
    values.offer("quant", manifest.quant, FILE_NAME)
    if manifest.qnn_sdk != NO_SDK:
        values.offer("qnn_sdk", clean_version(manifest.qnn_sdk), FILE_NAME)


def _is_label(label: str) -> bool:
    """Whether people write a quantisation so. Anything else would be `fp16` to the Rust program."""
    plain = label.lower() in _PLAIN or _WEIGHTS.match(label.lower()) is not None
    return plain or rust_kind(label) != "fp16"


def kind_of(label: str) -> str:
    """The Rust program's word for a quantisation label of a bundle (`w4a16`) or a GGUF file (`Q4_1`)."""
    match = _WEIGHTS.match(label.lower())
    kind = rust_kind(label)
    if match is None or kind != "fp16":
        return kind
    bits = int(match[1])
    return "int4" if bits <= 4 else "int8" if bits <= 8 else "fp16"
