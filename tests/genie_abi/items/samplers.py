"""Items 24 and 25: sampler configs. Items 26 to 33: standalone samplers (`tokens` has what they draw)."""

from __future__ import annotations

import json
from typing import Any

from npurun_tui.engine.dialog import GenieError
from tests.genie_abi.items.world import JSON, World, item

_CREATE = "GenieSamplerConfig_createFromJson"
_SET = "GenieSamplerConfig_setParam"


def _status_of(world: World, document: JSON) -> int:
    out = world.new("SamplerConfig")
    status = world.library.status(_CREATE, json.dumps(document).encode(), out)
    if status == 0:
        world.library.call("GenieSamplerConfig_free", out[0])
    return status


@item("24", "sampler config: what it may hold")
def rules(world: World) -> None:
    value = world.by_api(-9, -8)
    old = world.by_api(0, -8)
    basic: dict[str, Any] = {"version": 1}
    custom: dict[str, Any] = {"version": 1, "type": "custom"}
    for block, expected in (
        (basic, 0),
        (basic | {"seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95, "greedy": True}, 0),
        (custom | {"callback-name": "x"}, 0),
        (custom, value),
        (custom | {"callback-name": "x", "temp": 1.0}, value),
        (custom | {"callback-name": "x", "top-k": 1}, value),
        (custom | {"callback-name": "x", "top-p": 0.5}, value),
        (custom | {"callback-name": "x", "greedy": True}, value),
        (basic | {"type": "basic", "callback-name": "x"}, value),
        (basic | {"callback-name": "x"}, world.by_api(0, -8)),
        ({}, -8),
        ({"seed": 42}, -8),
        (basic | {"min-p": 0.1}, -8),
        (basic | {"role": "primary"}, -8),
        (basic | {"temp": "0.8"}, -8),
        (basic | {"temp": 0}, 0),
        (basic | {"type": "other"}, old),
        (basic | {"seed": 1.5}, old),
        (basic | {"temp": -1}, old),
        (basic | {"top-k": -1}, old),
        (basic | {"top-k": 1.5}, old),
        (basic | {"top-p": 1.5}, old),
        (basic | {"seed": 4294967295}, old),
        (basic | {"seed": -1}, 0),
    ):
        world.see(json.dumps(block), _status_of(world, {"sampler": block}), expected)
    world.see("no object", _status_of(world, {"sampler": []}), -8)
    world.see("another root", _status_of(world, {"other": basic}), -8)


@item("25", "sampler config: setParam")
def set_param(world: World) -> None:
    config = world.config("Sampler", {"sampler": {"version": 1}})
    whole = json.dumps({"sampler": {"version": 1, "seed": 7}})
    for key, value, expected in (
        ("seed", "42", 0),
        ("temp", "0.8", 0),
        ("top-k", "40", 0),
        ("top-p", "0.95", 0),
        ("type", "basic", 0),
        ("callback-name", "x", 0),
        ("penalize-last-n", "64", 0),
        ("repetition-penalty", "1.0", 0),
        ("presence-penalty", "0.0", 0),
        ("frequency-penalty", "0.0", 0),
        ("unheard-of", "1", -13),
        ("temp", "warm", -13),
        ("temp", "", -13),
        ("seed", "x", -13),
        ("top-k", "1.5", 0),
        ("", whole, 0),
        ("", "", -13),
        ("", "nope", -13),
    ):
        shown = value if len(value) < 12 else "a whole config"
        world.status(f"{key!r}={shown!r}", expected, _SET, config, key.encode(), value.encode())
    null = world.ffi.NULL
    world.status("NULL key", -13, _SET, config, null, b"1")
    world.status("NULL value", -13, _SET, config, b"temp", null)


@item("32", "sampler callbacks: names")
def registering(world: World) -> None:
    ffi, null = world.ffi, world.ffi.NULL
    plain = ffi.callback("SampleFn", lambda *_: None)
    with_data = ffi.callback("SampleDataFn", lambda *_: None)
    world.kept += [plain, with_data]
    user = "GenieSampler_registerUserDataCallback"
    # -1, an exception's status: only the callback is looked at before the name is made a string.
    world.status("NULL name", -1, "GenieSampler_registerCallback", null, plain)
    world.status("NULL callback", -2, "GenieSampler_registerCallback", b"a", null)
    world.status("NULL both", -2, "GenieSampler_registerCallback", null, null)
    world.status("user data: NULL name", -1, user, null, with_data, null)
    world.status("user data: NULL callback", -2, user, b"a", null, null)
    for turn in ("once", "again"):
        world.status(turn, 0, "GenieSampler_registerCallback", b"a", plain)
        world.status(f"user data: {turn}", 0, user, b"b", with_data, null)
    world.status("user data over plain", 0, user, b"a", with_data, null)


@item("26b", "a sampler from a plain sampler config")
def plain_config(world: World) -> None:
    config = world.config("Sampler", {"sampler": {"version": 1, "seed": 42}})
    out = world.new("Sampler")
    world.status("created", world.by_api(0, -1), "GenieSampler_create", config, out)


@item("26c", "a sampler freed twice")
def freed_twice(world: World) -> None:
    from tests.genie_abi.items.tokens import sampler

    made = sampler(world, {"seed": 42})
    world.status("freed", 0, "GenieSampler_free", made)
    world.status("freed again", world.by_api(0, -5), "GenieSampler_free", made)
    try:
        world.library.make("Sampler", "GenieSampler_create", world.ffi.NULL)
    except GenieError as error:
        world.see("made of NULL", int(error.status), -5)
