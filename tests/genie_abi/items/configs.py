"""Items 6 to 11: dialog configs from JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.genie_abi.config_cases import HTP, cases
from tests.genie_abi.items.world import JSON, World, item

_CREATE = "GenieDialogConfig_createFromJson"


def status_of(world: World, text: bytes) -> int:
    """What the library says to `text`; a config that it makes is freed."""
    out = world.new("DialogConfig")
    status = world.library.status(_CREATE, text, out)
    if status == 0:
        world.library.call("GenieDialogConfig_free", out[0])
    return status


def _document(world: World, label: str, document: JSON, expected: int) -> None:
    world.see(label, status_of(world, json.dumps(document).encode()), expected)


@item("6", "dialog config: NULL text, NULL out")
def null_arguments(world: World) -> None:
    null = world.ffi.NULL
    world.status("NULL text", -2, _CREATE, null, world.new("DialogConfig"))
    world.status("NULL out", -2, _CREATE, json.dumps({"dialog": HTP}).encode(), null)
    world.status("NULL both", -2, _CREATE, null, null)


@item("7", "dialog config: what is no JSON, no object, empty")
def no_json(world: World) -> None:
    for text, expected in (("", -7), ("{", -7), ("nope", -7), ("[]", -8), ("{}", -8), ("1", -8)):
        world.see(text or "nothing", status_of(world, text.encode()), expected)
    whole = json.dumps({"dialog": HTP})
    world.see("cut short", status_of(world, whole[:-3].encode()), -7)
    world.see("text behind it", status_of(world, f"{whole} x".encode()), -7)
    for first, second, expected in (("x", "basic", 0), ("basic", "x", world.by_api(-9, -8))):
        # The last one counts; only `dialog` itself may not be there twice.
        twice = whole.replace('"type": "basic"', f'"type": "{first}", "type": "{second}"', 1)
        world.see(f"type {first}, then {second}", status_of(world, twice.encode()), expected)
    dialogs = f'{whole[:-1]}, "dialog": {json.dumps(HTP)}}}'
    world.see("dialog twice", status_of(world, dialogs.encode()), -8)


@item("8", "dialog config: an unknown key at each level")
def unknown_keys(world: World) -> None:
    _document(world, "beside dialog", {"dialog": HTP, "x": 1}, -8)
    paths: list[tuple[str, ...]] = [
        (),
        ("context",),
        ("sampler",),
        ("tokenizer",),
        ("engine",),
        ("engine", "backend"),
        ("engine", "backend", "QnnHtp"),
        ("engine", "model"),
        ("engine", "model", "binary"),
        ("engine", "model", "positional-encoding"),
    ]
    for path in paths:
        dialog = copy.deepcopy(HTP)
        _at(dialog, path)["unheard-of"] = 1
        _document(world, "/".join(path) or "dialog", {"dialog": dialog}, -8)


@item("9", "dialog config: a version that is not 1")
def versions(world: World) -> None:
    for path in ((), ("context",), ("sampler",), ("tokenizer",), ("engine",), ("engine", "model")):
        for version, expected in ((2, world.by_api(-9, -8)), ("1", -8)):
            dialog = copy.deepcopy(HTP)
            _at(dialog, path)["version"] = version
            label = f"{'/'.join(path) or 'dialog'}: {version!r}"
            _document(world, label, {"dialog": dialog}, expected)


@item("10", "the 137 dialog configs")
def matrix(world: World) -> None:
    for case in cases():
        _document(world, case.name, case.document, case.expected(world.api))


@item("11", "dialog config: no file is opened")
def no_file(world: World) -> None:
    dialog = copy.deepcopy(HTP)
    nowhere = str(world.scratch / "missing")
    dialog["tokenizer"]["path"] = nowhere
    dialog["engine"]["backend"]["extensions"] = nowhere
    dialog["engine"]["model"]["binary"]["ctx-bins"] = [nowhere]
    _document(world, "missing files", {"dialog": dialog}, 0)


def _at(dialog: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path:
        dialog = dialog[key]
    return dialog
