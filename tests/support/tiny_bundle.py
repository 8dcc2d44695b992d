"""A Genie bundle of a few kilobytes in a zip archive, and the catalog entry for it behind an address."""

from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import dataclass, replace
from typing import Any

from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.models.catalog import CatalogEntry, UrlSource

NAME = "tiny-bundle"
FOLDER = "tiny-genie-w4a16-qualcomm_snapdragon_x_elite"
STAGED = ("prompt_ar128_cl512_1_of_1", "token_ar1_cl512_1_of_1", "prompt_ar128_cl4096_1_of_1")
PLAIN = ("ar128_cl4096_1_of_1", "ar1_cl4096_1_of_1")


@dataclass(frozen=True)
class TinyBundle:
    """The files by their path in the archive, the archive, and the entry."""

    files: dict[str, bytes]
    archive: bytes
    entry: CatalogEntry

    def at(self, url: str, **changes: Any) -> CatalogEntry:
        """The entry, to be pulled from `url`."""
        return replace(self.entry, source=UrlSource(url, **changes))


def bundle_files(
    *, names: tuple[str, ...] = STAGED, weights: int = 300_000, htp: dict[str, Any] | None = None
) -> dict[str, bytes]:
    """The files of a bundle whose context binary names these graphs and has `weights` random bytes."""
    shard = "\0".join(names).encode() + b"\0" + random.Random(7).randbytes(weights)  # noqa: S311
    config = {
        "dialog": {
            "version": 1,
            "type": "basic",
            "context": {
                "version": 1,
                "size": 4096,
                "n-vocab": 32064,
                "bos-token": 1,
                "eos-token": 32007,
            },
            "sampler": {"version": 1, "seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95},
            "tokenizer": {"version": 1, "path": "tokenizer.json"},
            "engine": {
                "version": 1,
                "n-threads": 3,
                "backend": {
                    "version": 1,
                    "type": "QnnHtp",
                    "QnnHtp": {"version": 1, "poll": True, **(htp or {})},
                },
                "model": {
                    "version": 1,
                    "type": "binary",
                    "binary": {"version": 1, "ctx-bins": ["part_1_of_1.bin"]},
                },
            },
        }
    }
    return {
        f"{FOLDER}/genie_config.json": json.dumps(config, indent=1).encode(),
        f"{FOLDER}/tokenizer.json": json.dumps({"added_tokens": []}).encode(),
        f"{FOLDER}/part_1_of_1.bin": shard,
    }


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of `files`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def build_tiny_bundle(
    *, files: dict[str, bytes] | None = None, archive: bytes | None = None
) -> TinyBundle:
    """A bundle and its archive; either may be given."""
    files = files if files is not None else bundle_files()
    archive = archive if archive is not None else zipped(files)
    entry = CatalogEntry(
        name=NAME,
        title="Tiny Bundle",
        backend="genie",
        arch="phi3",
        parameters="1K",
        quant="w4a16",
        context=4096,
        licence="MIT",
        download_size=len(archive),
        installed_size=sum(map(len, files.values())),
        source=UrlSource("https://models.invalid/tiny.zip"),
        hexagon="v73",
        qnn_sdk="2.43.1",
        template=SimpleTemplate("<|user|>\n{user}<|end|>\n<|assistant|>\n"),
    )
    return TinyBundle(files, archive, entry)
