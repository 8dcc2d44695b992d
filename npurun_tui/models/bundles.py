"""A Genie bundle's own files: where its root is, what it says of itself, and the flag that its graphs call for.

`enable-graph-switching` tells the NPU's runtime to change graphs between prefill and decode. Without it a bundle whose
graphs are named by stage falls from tens of tokens a second to less than one; set where it is not needed it makes some
bundles wait 400 ms for each first token. So the graph names inside the context binaries decide, not a habit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie.graphs import Graphs, read_graphs
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.files import write_atomic
from npurun_tui.models.manifest import Flag
from npurun_tui.text import one_line

CONFIG: Final = "genie_config.json"
TOKENIZER: Final = "tokenizer.json"
SWITCHING: Final = "enable-graph-switching"

_PATCHED: Final = (CONFIG, "text-generator.json")
_LARGEST: Final = 4 << 20
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
    """The folder of the bundle in `folder`: itself, or the one folder in it that has a `genie_config.json`.

    `called` is what a person knows it by, and stands in the sentence where there is none.

    Raises:
        ModelFileDamaged: there is none, or more than one.
        OSError: `folder` cannot be read.
    """
    if (folder / CONFIG).is_file():
        return folder
    found = [entry for entry in sorted(folder.iterdir()) if (entry / CONFIG).is_file()]
    if len(found) != 1:
        many = f"{len(found)} folders with" if found else "no folder with"
        raise ModelFileDamaged(f"{called} holds {many} a {CONFIG}, so it is no Genie bundle.")
    return found[0]


def read_facts(root: Path, check: Callable[[], None] = lambda: None) -> BundleFacts:
    """What the bundle in `root` says of itself. Blocking; `check` may raise to end the reading of its binaries.

    Raises:
        ModelFileDamaged: a file is missing, or is not what it should be.
    """
    try:
        dialog = load_config(root / CONFIG)["dialog"]
        engine = first_engine(dialog)
        context = dialog["context"]
        size, tokens = int(context["size"]), int(context.get("n-vocab") or context["n_vocab"])
        backend = str(engine["backend"]["type"])
        if size <= 0 or tokens <= 0:
            raise ValueError("its context window or vocabulary is empty")
        graphs = _graphs(root, engine, check)
    except _MISFITS as error:
        raise ModelFileDamaged(
            f"{CONFIG} lacks what a dialog's config must have ({one_line(str(error), 80)})."
        ) from error
    return BundleFacts(size, tokens, backend, graphs)


def set_flags(root: Path, graphs: Graphs) -> tuple[Flag, ...]:
    """Add the flags that `graphs` call for to the configs in `root`; what their author set stays.

    Returns one entry for each decision, with its reason. Raises OSError.
    """
    made: list[Flag] = []
    for name in _PATCHED:
        if not (root / name).is_file():
            continue
        try:
            document = load_config(root / name)
            sections = list(_htp_sections(document))
        except (ModelFileDamaged, *_MISFITS):
            continue  # the engine's own config was read before; another file's shape is its author's affair
        changed = False
        for section in sections:
            if SWITCHING in section:
                made.append(Flag(name, SWITCHING, section[SWITCHING] is True, "the author set it"))
            elif graphs.staged:
                section[SWITCHING] = changed = True
                made.append(Flag(name, SWITCHING, True, "graphs are named prompt_ and token_"))
            else:
                why = "no graph is named prompt_ or token_" if graphs.widths else _NO_NAMES
                made.append(Flag(name, SWITCHING, None, why))
        if changed:
            text = json.dumps(document, indent=2) + "\n"
            write_atomic(root / name, text.encode())
    return tuple(made)


_NO_NAMES: Final = "the context binaries name no graphs"


def load_config(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. Raises ModelFileDamaged."""
    shown = one_line(file.name, 100)
    try:
        if file.stat().st_size > _LARGEST:
            raise ModelFileDamaged(f"{shown} is too large to be a config.")
        document = json.loads(file.read_text("utf-8-sig"))
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
    """The graphs that the first context binary names: all shards are compiled for the same ones."""
    binaries = engine["model"].get("binary", {}).get("ctx-bins", [])
    if not binaries:
        return Graphs()
    file = _inside(root, binaries[0])
    try:
        return read_graphs(file, check)
    except OSError as error:
        raise ModelFileDamaged(
            f"{one_line(file.name, 100)}, which {CONFIG} names, cannot be read: {error.strerror or error}."
        ) from error


def _inside(root: Path, name: str) -> Path:
    """The file of the bundle that its config calls `name`; one elsewhere is not the bundle's."""
    path = (root / name.replace("\\", "/")).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{name} lies outside of the bundle")
    return path
