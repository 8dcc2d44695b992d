"""Items 19 to 23: profiles."""

from __future__ import annotations

import json
from typing import Any

from npurun_tui.engine.genie.library import Buffer
from tests.genie_abi.config_cases import HTP
from tests.genie_abi.items.world import World, item

_JSON = "GenieProfile_getJsonData"


def _fresh(world: World) -> Any:
    return world.library.make("Profile", "GenieProfile_create", world.ffi.NULL)


@item("19", "profile: a fresh one's JSON")
def fresh(world: World) -> None:
    data = world.library.data(_JSON, _fresh(world))
    document = json.loads(data.rstrip(b"\0"))
    world.see("artifact_type", document["header"]["artifact_type"], "GENIE_PROFILE")
    zero = {"major": 0, "minor": 1, "patch": 0}
    world.see("header_version", document["header"]["header_version"], zero)
    world.see("version", document["header"]["version"], zero)
    world.see("components", document["components"], None)
    world.see("keys", sorted(document), ["components", "header", "metadata"])
    world.see("timestamp is whole", type(document["metadata"]["timestamp"]) is int, True)
    world.see("indented by two", b'\n  "' in data, True)


@item("20", "profile: the client's memory")
def memory(world: World) -> None:
    profile = _fresh(world)
    asked: list[tuple[int, Any]] = []

    def allocate(size: int, out: Any) -> None:
        # One byte more than was asked for, to see whether it is left alone.
        room = world.ffi.new("char[]", b"\xaa" * (size + 1))
        asked.append((size, room))
        out[0] = room

    callback = world.ffi.callback("AllocFn", allocate)
    out = world.ffi.new("const char**")
    for turn in ("first", "second"):
        asked.clear()
        world.status(f"{turn} call", 0, _JSON, profile, callback, out)
        world.see(f"{turn} call: times asked", len(asked), 1)
        size, room = asked[0]
        written = world.ffi.buffer(room, size + 1)[:]
        whole = written.index(b"\0") + 1 == size
        world.see(f"{turn} call: size is the text and NUL", whole, True)
        world.see(f"{turn} call: nothing written behind it", written[size:] == b"\xaa", True)
        world.see(f"{turn} call: out is that memory", out[0] == room, True)


@item("21", "profile: NULL allocator, NULL out")
def null_arguments(world: World) -> None:
    profile = _fresh(world)
    null = world.ffi.NULL
    out = world.ffi.new("const char**")
    world.status("NULL allocator", -2, _JSON, profile, null, out)
    world.status("NULL out", -2, _JSON, profile, Buffer(world.ffi).allocate, null)
    world.see("out is as it was", out[0] == null, True)


@item("22", "profile: freed while it is bound")
def bound(world: World) -> None:
    profile = _fresh(world)
    config = world.config("Dialog", {"dialog": HTP})
    world.status("bound", 0, "GenieDialogConfig_bindProfiler", config, profile)
    world.status("freed while bound", -14, "GenieProfile_free", profile)
    world.status("config freed", 0, "GenieDialogConfig_free", config)
    world.status("freed", 0, "GenieProfile_free", profile)
    world.status("freed again", -5, "GenieProfile_free", profile)


@item("23", "profile: made of nothing, and of a config")
def made(world: World) -> None:
    null = world.ffi.NULL
    out = world.new("Profile")
    world.status("no config", 0, "GenieProfile_create", null, out)
    world.status("freed", 0, "GenieProfile_free", out[0])
    world.status("NULL out", -2, "GenieProfile_create", null, null)
    trace = {"version": 1, "trace": {"version": 1, "enable": True}}
    config = world.config("Profile", {"profile": trace})
    world.status("a config with trace", 0, "GenieProfile_create", config, out)
    world.library.call("GenieProfileConfig_free", config)
    data = world.library.data(_JSON, out[0])
    world.see("trace JSON parses", json.loads(data.rstrip(b"\0"))["components"], None)
    world.status("freed", 0, "GenieProfile_free", out[0])
