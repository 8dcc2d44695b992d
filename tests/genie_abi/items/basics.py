"""Items 1 to 5: versions, exports, handles."""

from __future__ import annotations

import ctypes
import re
from typing import Any, Final

from npurun_tui.engine.genie import declarations
from npurun_tui.engine.genie.library import Buffer
from tests.genie_abi.config_cases import HTP
from tests.genie_abi.items.world import UNTOUCHED, World, item

_PROTOTYPE: Final = re.compile(r"^int32_t (Genie\w+)\(([^)]*)\);", re.MULTILINE)

NEVER_ISSUED: Final = 0xDEADBEEFDEAD

_ARGUMENTS_FIRST: Final = frozenset(
    {
        "GenieProfile_getJsonData",
        "GenieSampler_sampleData",
        "GenieTokenizer_encode",
        "GenieTokenizer_decode",
        "GenieDlc_getUseCases",
        "GenieDialog_releaseLoraMemory",
        "GenieAccuracy_compute",
    }
)
"""Functions that look at their arguments before they look the handle up; a NULL handle still gives -5."""

_CONFIG_FIRST: Final = frozenset(
    {
        "GenieSampler_create",
        "GenieDlc_create",
        "GenieEngine_create",
        "GenieDialog_create",
        "GenieEmbedding_create",
        "GeniePipeline_create",
    }
)
"""Makers of objects: (NULL, NULL) and (any, NULL) are -2."""

_NULL_IS_AN_ARGUMENT: Final = frozenset(
    {
        "GenieDialogConfig_createFromDlc",
        "GenieEmbeddingConfig_createFromDlc",
        "GenieNodeConfig_createFromDlc",
        "GeniePerformance_create",
    }
)
"""A NULL handle is -2 here, whatever else is given."""

_NONE_NEEDED: Final = frozenset({"GenieLog_create", "GenieProfile_create"})
"""NULL is a good first argument; items 15 and 23 have these."""


def prototypes() -> list[tuple[str, list[str]]]:
    """Every declared function with its parameter types."""
    return [
        (name, [kind.strip() for kind in parameters.split(",")])
        for name, parameters in _PROTOTYPE.findall(declarations.FUNCTIONS)
    ]


@item("1", "version getters")
def versions(world: World) -> None:
    world.see("major", world.library.version[0], 1)
    world.see("at least 1.11", world.api >= (1, 11), True)
    world.see("patch", world.library.version[2], 0)


@item("2", "every function of this version is exported")
def exports(world: World) -> None:
    # ctypes, because the prototypes of six are known to nobody and cffi looks up declared names only.
    symbols = ctypes.CDLL(str(world.library.path))
    names = [
        "Genie_getApiMajorVersion",
        "Genie_getApiMinorVersion",
        "Genie_getApiPatchVersion",
        *(name for name, _ in prototypes()),
        *declarations.UNKNOWN,
    ]
    world.see("names known", len(names), 128)
    due = [name for name in names if declarations.SINCE.get(name, (1, 11)) <= world.api]
    world.see("missing", [name for name in due if not hasattr(symbols, name)], [])


@item("2b", "the functions nobody has prototypes of, with NULL for everything")
def unknown(world: World) -> None:
    symbols = ctypes.CDLL(str(world.library.path))
    nothing = [ctypes.c_void_p()] * 6
    for name in declarations.UNKNOWN:
        if declarations.SINCE[name] <= world.api:
            expected = -2 if name == "GenieDialog_setPerformancePerStage" else -5
            world.see(name, getattr(symbols, name)(*nothing), expected)


@item("3", "NULL and never issued handles")
def handles(world: World) -> None:
    for name, kinds in prototypes():
        known = declarations.SINCE.get(name, (1, 11)) <= world.api and world.library.has(name)
        if known and kinds[0] in declarations.HANDLES and name not in _NONE_NEEDED:
            _try_handles(world, name, kinds)


def _try_handles(world: World, name: str, kinds: list[str]) -> None:
    for label, handle in (("NULL", 0), ("bogus", NEVER_ISSUED)):
        for others, make in (("NULL", _nothing), ("values", _something)):
            if name == "GenieAccuracy_compute" and handle and others == "values":
                continue  # the real library of both versions dies here, the one place where it does
            arguments = [make(world, kind) for kind in kinds[1:]]
            world.status(
                f"{name} {label} handle, {others}",
                _expected_of_handle(world, name, label, others),
                name,
                world.ffi.cast(kinds[0], handle),
                *arguments,
            )


def _expected_of_handle(world: World, name: str, handle: str, others: str) -> int:  # noqa: PLR0911
    old = world.api < (1, 21)
    if name == "GenieSampler_free" and old and handle == "bogus":
        return 0
    if name == "GeniePipeline_connect" and old and others == "NULL":
        return 0
    if name == "GenieNode_create" and handle == "NULL":
        return -2
    if name in _CONFIG_FIRST and others == "NULL":
        return -2
    if name in _NULL_IS_AN_ARGUMENT and (handle == "NULL" or others == "NULL"):
        return -2
    if name in _ARGUMENTS_FIRST and handle == "bogus" and others == "NULL":
        return -2
    return -5


def _nothing(world: World, kind: str) -> Any:
    """NULL, or 0 for a number."""
    pointer = kind.endswith(("*", "Fn")) or kind in declarations.HANDLES
    return world.ffi.NULL if pointer else 0


def _something(world: World, kind: str) -> Any:
    """A value that a function could take."""
    ffi = world.ffi
    if kind == "AllocFn":
        made: Any = Buffer(ffi)
        world.kept.append(made)
        return made.allocate
    if kind in declarations.HANDLES:
        return ffi.cast(kind, NEVER_ISSUED)
    if kind == "const char*":
        made = ffi.new("char[]", b"{}")
    elif kind.endswith("Fn"):
        made = ffi.callback(kind, lambda *_: 0 if kind == "NodeTextFn" else None)
    elif kind.endswith("*"):
        room = ffi.new("char[256]")
        world.kept.append(room)
        return ffi.cast(kind, room)
    else:
        return 100  # a priority that exists; no other function gets as far as its number
    world.kept.append(made)
    return made


_FREED: Final = {
    "Dialog": {"dialog": HTP},
    "Sampler": {"sampler": {"version": 1, "seed": 42}},
    "Profile": {"profile": {"version": 1, "trace": {"version": 1, "enable": True}}},
    "Node": {},
    "Pipeline": {},
}
"""A document for each kind of config that can be had without files."""


@item("4", "freed handles, and freeing twice")
def freed(world: World) -> None:
    for kind, document in _FREED.items():
        config = world.config(kind, document)
        world.status(f"{kind}Config, freed", 0, f"Genie{kind}Config_free", config)
        world.status(f"{kind}Config, freed again", -5, f"Genie{kind}Config_free", config)
        out = world.new(kind)
        world.status(f"{kind} made of it", -5, f"Genie{kind}_create", config, out)
    _freed_objects(world)


def _freed_objects(world: World) -> None:
    null = world.ffi.NULL
    log = world.library.make("Log", "GenieLog_create", null, null, 1)
    profile = world.library.make("Profile", "GenieProfile_create", null)
    for kind, handle in (("Log", log), ("Profile", profile)):
        world.status(f"{kind}, freed", 0, f"Genie{kind}_free", handle)
        world.status(f"{kind}, freed again", -5, f"Genie{kind}_free", handle)
    config = world.config("Dialog", _FREED["Dialog"])
    for kind, call, handle in (("log", "bindLogger", log), ("profile", "bindProfiler", profile)):
        world.status(f"freed {kind} bound", -5, f"GenieDialogConfig_{call}", config, handle)
    world.status(
        "a live handle of another kind",
        -5,
        "GenieLog_free",
        world.ffi.cast("Log", config),
    )
    world.library.call("GenieDialogConfig_free", config)


@item("5", "a failed call leaves the out pointer alone")
def untouched(world: World) -> None:
    for kind in ("Dialog", "Sampler", "Profile", "Engine", "Embedding", "Accuracy"):
        out = world.new(f"{kind}Config")
        name = f"Genie{kind}Config_createFromJson"
        world.see(f"{name} fails", world.library.status(name, b"nope", out) < 0, True)
        world.see(f"{name} out", int(world.ffi.cast("uintptr_t", out[0])) == UNTOUCHED, True)
    out = world.new("Dialog")
    bogus = world.ffi.cast("DialogConfig", NEVER_ISSUED)
    world.status("GenieDialog_create", -5, "GenieDialog_create", bogus, out)
    world.see("GenieDialog_create out", int(world.ffi.cast("uintptr_t", out[0])) == UNTOUCHED, True)
