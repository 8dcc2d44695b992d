"""A saved conversation: a folder with Genie's `dialog.json` and llama.cpp's file of the KV cache.

The folder is written under another name and renamed, so a half-written one is never taken for a snapshot. Reading
trusts nothing: the file may be of another model or runtime, edited, or not ours at all, and each of these is -6. The
KV file is compared with its sha256 first: llama.cpp ends the whole process over a truncated one. What this process has
hashed already is hashed again only where the file's size, time or place on the disk is another: for a conversation
of 2,000 tokens that is half of what bringing it back takes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.cpu.prefix import Segment

CACHE_FILE: Final = "kv-cache.primary.llama-cpp"
DIALOG_FILE: Final = "dialog.json"
_FORMAT: Final = 1
_REMEMBERED: Final = 512
"""Digests."""


class SnapshotInvalid(Exception):  # becomes GenieError -6 in the dialog
    """Not a snapshot that this model can take back; the text says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `dialog.json` holds."""

    model: str
    """The model file's header digest."""
    runtime: str
    segments: Sequence[Segment]
    pending: Segment | None
    queries: int
    random_base: int
    random_position: int


class Snapshots:
    """Writes and reads snapshots, and remembers which files it has hashed."""

    def __init__(self) -> None:
        self._digests: OrderedDict[tuple[int, ...], str] = OrderedDict()

    def write(self, folder: Path, snapshot: Snapshot, cache_file: Path) -> None:
        """Make `folder`, which must not exist, from `snapshot` and the KV file, which is moved.

        Raises:
            OSError: as the file system gives it; nothing is left behind then.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            raise FileExistsError(f"{folder} exists")
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            shutil.move(cache_file, partial / CACHE_FILE)
            text = json.dumps(_to_json(snapshot) | {"sha256": self._digest(partial / CACHE_FILE)})
            (partial / DIALOG_FILE).write_text(text, encoding="utf-8")
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def read(self, folder: Path, *, model: str, runtime: str) -> Snapshot:
        """The snapshot in `folder`, if it is one of this model and runtime.

        Raises:
            SnapshotInvalid: it is missing, foreign or damaged.
        """
        try:
            document = json.loads((folder / DIALOG_FILE).read_text(encoding="utf-8"))
            snapshot, digest = _from_json(document), str(document["sha256"])
        except OSError as error:
            raise SnapshotInvalid(f"there is no snapshot ({error.strerror}).") from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise SnapshotInvalid("its dialog.json is damaged.") from error
        if (snapshot.model, snapshot.runtime) != (model, runtime):
            raise SnapshotInvalid("it was saved by another model or another llama.cpp.")
        try:
            intact = self._digest(folder / CACHE_FILE) == digest
        except OSError as error:
            raise SnapshotInvalid("its KV cache file cannot be read.") from error
        if not intact:
            raise SnapshotInvalid("its KV cache file is damaged.")
        return snapshot

    def _digest(self, file: Path) -> str:
        """The sha256 of `file`."""
        status = file.stat()
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        digest = self._digests.pop(stamp, "")
        if not digest:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        self._digests[stamp] = digest
        if len(self._digests) > _REMEMBERED:
            self._digests.popitem(last=False)
        return digest


def _to_json(snapshot: Snapshot) -> dict[str, Any]:
    pending = snapshot.pending
    return {
        "format": _FORMAT,
        "model": snapshot.model,
        "runtime": snapshot.runtime,
        "n-past": sum(len(segment.tokens) for segment in snapshot.segments),
        "n-queries": snapshot.queries,
        "last-tok": pending.tokens[-1] if pending else -1,
        "pending": _segment_to_json(pending) if pending else None,
        "segments": [_segment_to_json(segment) for segment in snapshot.segments],
        "random": [snapshot.random_base, snapshot.random_position],
    }


def _from_json(document: dict[str, Any]) -> Snapshot:
    if document["format"] != _FORMAT:
        raise ValueError("another format")
    base, position = document["random"]
    pending = document["pending"]
    segments = [_segment_from_json(segment) for segment in document["segments"]]
    snapshot = Snapshot(
        str(document["model"]),
        str(document["runtime"]),
        segments,
        _segment_from_json(pending) if pending else None,
        _number(document["n-queries"]),
        _number(base),
        _number(position),
    )
    if sum(len(segment.tokens) for segment in segments) != document["n-past"]:
        raise ValueError("n-past is not the number of tokens")
    return snapshot


def _segment_to_json(segment: Segment) -> list[Any]:
    return [segment.text, list(segment.tokens), segment.control]


def _segment_from_json(document: list[Any]) -> Segment:
    text, tokens, control = document
    if not (text is None or isinstance(text, str)) or not isinstance(control, bool):
        raise ValueError("not a segment")
    return Segment(text, tuple(_number(token) for token in tokens), control)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a number")
    return value
