"""Saved conversations. Genie writes a folder and checks nothing when it reads one: a snapshot of another model, or of
another release, would be taken for this one's. So ours have a file of their own beside Genie's that says what they
are of."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.genie.bundle import Bundle
from npurun_tui.engine.genie.library import Library
from npurun_tui.text import one_line

FILE: Final = "npurun-snapshot.json"


@dataclass(frozen=True, slots=True)
class Key:
    """What a snapshot can be restored into."""

    bundle: str
    """A digest of the config with its paths, and of size and time of the library's and the model's files."""
    library: str
    """The API's version."""

    @classmethod
    def of(cls, bundle: Bundle, library: Library) -> Key:
        """The key of what is loaded."""
        digest = hashlib.sha256(bundle.with_sampler({}))
        # Two releases share an API version, and a model may be replaced where it lies.
        for file in (library.path, *bundle.files):
            status = file.stat()
            digest.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
        return cls(digest.hexdigest(), library.version_text)


@contextmanager
def new_folder(folder: Path, call: str) -> Iterator[Path]:
    """A place to write into that becomes `folder`, whole, at the end of the block; nothing is left where that fails.

    Raises:
        GenieError: -6 where there is such a folder already, or the file system refuses.
    """
    if folder.exists():
        raise GenieError(Status.ERROR_QUERY_FAILED, call, f"{one_line(str(folder))} exists.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        outer = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, one_line(str(error))) from error
    try:
        partial = outer / "saved"
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, one_line(str(error))) from error
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def write(folder: Path, key: Key, tokens: Sequence[int]) -> None:
    """Say in `folder` what it is of. Raises OSError."""
    document = asdict(key) | {"tokens": list(tokens)}
    (folder / FILE).write_text(json.dumps(document), encoding="utf-8")


def read(folder: Path, key: Key, call: str) -> list[int]:
    """The tokens that the snapshot in `folder` holds.

    Raises:
        GenieError: -6 where it is missing, damaged, or of something else.
    """
    try:
        document = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = Key(str(document["bundle"]), str(document["library"]))
        tokens = [int(token) for token in document["tokens"]]
    except OSError as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, "there is no snapshot.") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, "the snapshot is damaged.") from error
    if found != key:
        raise GenieError(
            Status.ERROR_QUERY_FAILED, call, "it is of another model or another Genie."
        )
    return tokens
