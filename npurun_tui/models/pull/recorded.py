"""Hashes of files whose publisher gives none: recorded at the first pull, compared at every later one.

They are kept beside the models, not in them, so that a model that was removed and is pulled again is compared too. The
file is hidden from `list`, and holds for each address the sha256 and the size in bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.errors import ModelBusy, ModelError
from npurun_tui.files import write_atomic
from npurun_tui.text import one_line

FILE: Final = ".recorded.json"
_LARGEST: Final = 4 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file was when it was first pulled. `size` in bytes."""

    sha256: str
    size: int


def recorded(root: Path, address: str) -> Recorded | None:
    """What is recorded of the file at `address`; None where it was never pulled. Blocking, one small file.

    Raises:
        ModelError: the record is damaged.
    """
    item = _load(root).get(address)
    if not isinstance(item, dict):
        return None
    digest, size = item.get("sha256"), item.get("size")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest) or type(size) is not int:
        return None
    return Recorded(digest, size)


def half_written(root: Path) -> list[Path]:
    """What a kill in the middle of `record` has left; at this moment perhaps of one that runs."""
    return sorted(root.glob(f".{FILE}.*"))


def remove_half_written(root: Path, path: Path) -> int:
    """Delete one of these; returns the bytes freed. Raises OSError, ModelBusy where records are written right now."""
    from filelock import FileLock, Timeout

    try:
        # Nobody writes while it is held: what is there is dead.
        with FileLock(root / f"{FILE}.lock", blocking=False):
            size = path.stat().st_size
            path.unlink()
    except Timeout:
        raise ModelBusy("A pull ends at this moment.", mend="Prune again.") from None
    except FileNotFoundError:
        return 0
    return size


def record(root: Path, address: str, what: Recorded) -> None:
    """Keep `what` for the file at `address`, durably. Raises OSError, and ModelError where the record is damaged."""
    from filelock import FileLock

    root.mkdir(parents=True, exist_ok=True)
    # Two pulls may end at the same moment, in two programs.
    with FileLock(root / f"{FILE}.lock", timeout=30):
        document = _load(root)
        document[address] = {"sha256": what.sha256, "size": what.size}
        text = json.dumps(document, indent=1, sort_keys=True)
        write_atomic(root / FILE, text.encode(), private=False)


def _load(root: Path) -> dict[str, Any]:
    try:
        with (root / FILE).open("rb") as file:
            document = json.loads(file.read(_LARGEST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(root) from error
    if not isinstance(document, dict):
        raise _damaged(root)
    return document


def _damaged(root: Path) -> ModelError:
    """Taking it for empty would accept any file as the first one."""
    return ModelError(
        f"{one_line(str(root / FILE), 300)}, which has the hashes of earlier pulls, cannot be read.",
        mend="Move it away; each file is then recorded anew when it is pulled.",
    )
