"""Everything that does nothing here: configs that are only checked, and what the CPU does not have.

A function that is not implemented checks its handle first (-5) and then says so (-1), as one of a real library that
lacks a feature would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError, general, invalid_argument
from npurun_tui.genie_abi.library import Library, parse
from npurun_tui.genie_abi.schema import check_root

ROOTS: Final = {
    "EngineConfig": "standalone-engine",
    "EmbeddingConfig": "embedding",
    "AccuracyConfig": "dataset",
    "PerformanceConfig": "performance",
}


@dataclass(eq=False, slots=True)
class Thing:
    """A handle's object of a kind that does nothing here."""

    kind: str
    document: Any = None


def get(library: Library, handle: Any, kind: str) -> Thing:
    """The object of `kind`. Raises AbiError -5."""
    thing: Thing = library.get(handle, Thing)
    if thing.kind != kind:
        raise AbiError(Status.ERROR_INVALID_HANDLE, "Invalid handle.")
    return thing


def config_from_json(library: Library, kind: str, pointer: Any, out: Any) -> int:
    """`Genie<kind>_createFromJson`; nodes' and pipelines' configs may hold anything."""
    library.need(pointer, out)
    document = parse(library.text(pointer))
    if kind in ROOTS:
        check_root(ROOTS[kind], document, library.release)
    library.give(out, Thing(kind, document))
    return 0


def bind(library: Library, kind: str, other_kind: type[Any], handle: Any, other: Any) -> int:
    """`_bindLogger` and `_bindProfiler`."""
    get(library, handle, kind)
    library.get(other, other_kind)
    return 0


def free(library: Library, kind: str, handle: Any) -> int:
    """`Genie<kind>_free`."""
    get(library, handle, kind)
    library.handles.remove(library.number(handle))
    return 0


def unavailable(library: Library, kind: str, handle: Any, *_arguments: Any) -> int:
    """A function that the CPU does not have."""
    get(library, handle, kind)
    raise general("This is not implemented on the CPU.")


def create(library: Library, kind: str, handle: Any, out: Any) -> int:
    """`GenieEngine_create` and its like: none of them runs here."""
    library.need(out)
    get(library, handle, kind)
    raise general("This is not implemented on the CPU.")


def create_dlc_config(library: Library, path: Any, config: Any, out: Any) -> int:
    """`GenieDlcConfig_create`: a container must be there to be looked into."""
    library.need(path, out)
    file = library.text(path, "path")
    if config != library.ffi.NULL:
        parse(library.text(config))
    if not Path(file).is_file():
        raise invalid_argument(f"Cannot open the DLC file {file}.")
    library.give(out, Thing("DlcConfig", file))
    return 0


def create_performance(library: Library, handle: Any, out: Any) -> int:
    """`GeniePerformance_create`."""
    library.need(handle, out)
    config = get(library, handle, "PerformanceConfig")
    library.give(out, Thing("Performance", config.document))
    return 0
