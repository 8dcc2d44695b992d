"""A Genie bundle's own files: where its root is, what it says of itself, and the flag that its graphs call for.

`enable-graph-switching` tells the NPU's runtime to change graphs between prefill and decode. Without it a bundle whose
graphs are named by stage falls from tens of tokens a second to less than one; set where it is not needed it makes some
bundles wait 400 ms for each first token. So the graph names inside the context binaries decide, not a habit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie.graphs import Graphs, read_graphs
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.files import read_small, write_atomic
from npurun_tui.models.describe_files import check_paths
from npurun_tui.models.fields import U32
from npurun_tui.models.manifest import Flag
from npurun_tui.text import one_line

CONFIG: Final = "genie_config.json"
TOKENIZER: Final = "tokenizer.json"
SWITCHING: Final = "enable-graph-switching"

_PATCHED: Final = (CONFIG, "text-generator.json")
_LARGEST: Final = 4 << 20
_DEEPEST: Final = 2
"""Folders between the one that is named and the bundle's; the Rust program has `bundle/NAME` there."""
_MISFITS: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What the config and the context binaries say. Counts are tokens."""

    context: int
    vocabulary: int
    backend: str
    """`QnnHtp` is the NPU."""
    graphs: Graphs


def find_bundle(folder: Path, called: str) -> Path:
    """The folder of the bundle in `folder`: itself, or the one folder in it, or in one of those, that has a
    `genie_config.json`. Links are not followed: what they lead to is another's.

    `called` is what a person knows it by, and stands in the sentence where there is none.

    Raises:
        ModelFileDamaged: there is none, or more than one.
        OSError: `folder` cannot be read.
    """
    found = [folder] if _has_config(folder) else []
    level = _folders(folder) if not found else []
    for _ in range(_DEEPEST):
        if found:
            break
        found = [entry for entry in level if _has_config(entry)]
        level = [below for entry in level for below in _readable_folders(entry)]
    if len(found) != 1:
        many = f"{len(found)} folders with" if found else "no folder with"
        raise ModelFileDamaged(f"{called} holds {many} a {CONFIG}, so it is no Genie bundle.")
    return found[0]


def _has_config(folder: Path) -> bool:
    return os.path.isfile(folder / CONFIG)  # noqa: PTH113 - pathlib's raises where it may not look


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / each.name for each in entries if each.is_dir(follow_symlinks=False))


def _readable_folders(folder: Path) -> list[Path]:
    """Somebody's folder may have others' in it."""
    try:
        return _folders(folder)
    except PermissionError:
        return []


def read_facts(root: Path, check: Callable[[], None] = lambda: None) -> BundleFacts:
    """What the bundle in `root` says of itself. Blocking; `check` may raise to end the reading of its binaries.

    Raises:
        ModelFileDamaged: a file is missing or lies elsewhere, or the config is not what it should be.
    """
    document = load_config(root / CONFIG)
    try:
        check_paths(root, document)
        if "text-generator" in document and "dialog" not in document:
            raise ModelFileDamaged(
                "This bundle is for pictures and text (a text-generator node), which npurun-tui does not run yet.",
                mend="Choose a text model.",
            )
        dialog = document["dialog"]
        engine = first_engine(dialog)
        context = dialog["context"]
        size = _count(context["size"], "a context window")
        tokens = _count(context.get("n-vocab") or context["n_vocab"], "a vocabulary")
        backend = str(engine["backend"]["type"])
        graphs = _graphs(root, engine, check)
    except _MISFITS as error:
        raise ModelFileDamaged(
            f"{CONFIG} lacks what a dialog's config must have ({one_line(str(error), 80)})."
        ) from error
    return BundleFacts(size, tokens, backend, graphs)


def _count(value: object, what: str) -> int:
    """A number of tokens that a manifest can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= U32:
        raise ModelFileDamaged(
            f"{CONFIG} speaks of {what} of {one_line(repr(value), 40)} tokens, which no model has."
        )
    return value


def set_flags(root: Path, graphs: Graphs, before: Sequence[Flag] = ()) -> tuple[Flag, ...]:
    """Add the flags that `graphs` call for to the configs in `root`; what their author set stays, and what an earlier
    installation set, whose decisions are `before`, keeps its reason.

    Returns one entry for each decision, with its reason. Raises OSError.
    """
    made: list[Flag] = []
    for name, document, flags, changed in _decisions(root, graphs, before):
        made += flags
        if changed:
            text = json.dumps(document, indent=2) + "\n"
            write_atomic(root / name, text.encode(), private=False)
    return tuple(made)


def decide_flags(root: Path, graphs: Graphs, before: Sequence[Flag] = ()) -> tuple[Flag, ...]:
    """What `set_flags` would decide; nothing is written."""
    return tuple(flag for _, _, flags, _ in _decisions(root, graphs, before) for flag in flags)


_STAGED: Final = "graphs are named prompt_ and token_"
_UNSTAGED: Final = "no graph is named prompt_ or token_"
_NO_NAMES: Final = "the context binaries name no graphs"


def _decisions(
    root: Path, graphs: Graphs, before: Sequence[Flag]
) -> Iterator[tuple[str, dict[str, Any], list[Flag], bool]]:
    """`(file, its document with the flags in it, the decisions, whether the document changed)` of each config."""
    known = {(flag.file, flag.key, flag.value): flag for flag in before}
    for name in _PATCHED:
        if not (root / name).is_file():
            continue
        try:
            document = load_config(root / name)
            sections = list(_htp_sections(document))
        except (ModelFileDamaged, *_MISFITS):
            continue  # the engine's own config was read before; another file's shape is its author's affair
        flags: list[Flag] = []
        changed = False
        for section in sections:
            if SWITCHING in section:
                flag = Flag(name, SWITCHING, section[SWITCHING] is True, "the author set it")
                flags.append(known.get((name, SWITCHING, flag.value), flag))
            elif graphs.staged:
                section[SWITCHING] = changed = True
                flags.append(Flag(name, SWITCHING, True, _STAGED))
            else:
                why = _UNSTAGED if graphs.widths else _NO_NAMES
                flags.append(Flag(name, SWITCHING, None, why))
        yield name, document, flags, changed


def load_config(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. Raises ModelFileDamaged."""
    shown = one_line(file.name, 100)
    try:
        data = read_small(file, _LARGEST)
        if data is None:
            raise ModelFileDamaged(f"{shown} is too large to be a config.")
        document = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise ModelFileDamaged(f"{shown} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileDamaged(f"{shown} is not JSON.") from error
    if not isinstance(document, dict):
        raise ModelFileDamaged(f"{shown} must hold one JSON object.")
    return document


def first_engine(dialog: dict[str, Any]) -> dict[str, Any]:
    """The engine block of a dialog, the first where there are several."""
    engine = dialog["engine"]
    first = engine[0] if isinstance(engine, list) else engine
    if not isinstance(first, dict):
        raise TypeError("engine")
    return first


def _htp_sections(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The `QnnHtp` objects of every engine below any top-level wrapper."""
    for wrapper in document.values():
        engines = wrapper.get("engine") if isinstance(wrapper, dict) else None
        for engine in engines if isinstance(engines, list) else [engines]:
            backend = engine.get("backend") if isinstance(engine, dict) else None
            section = backend.get("QnnHtp") if isinstance(backend, dict) else None
            if isinstance(section, dict):
                yield section


def _graphs(root: Path, engine: dict[str, Any], check: Callable[[], None]) -> Graphs:
    """The graphs that the context binaries name."""
    binaries = engine["model"].get("binary", {}).get("ctx-bins", [])
    if not isinstance(binaries, list):
        raise TypeError("ctx-bins is no list")
    files = [root / name.replace("\\", "/") for name in binaries]
    try:
        return read_graphs(files, check)
    except OSError as error:
        name = Path(error.filename or files[0]).name
        raise ModelFileDamaged(
            f"{one_line(name, 100)}, which {CONFIG} names, cannot be read: {error.strerror or error}."
        ) from error
