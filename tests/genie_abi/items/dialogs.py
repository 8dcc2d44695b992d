"""Items 12, 13 and 58: making a dialog where its files are not."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from npurun_tui.engine.genie.stderr import listening
from tests.genie_abi.config_cases import CPU, HTP
from tests.genie_abi.items.nodes import encoder_document
from tests.genie_abi.items.tokenizer import document
from tests.genie_abi.items.world import World, item


def _create(world: World, dialog: dict[str, Any]) -> tuple[int, str]:
    """The status of `GenieDialog_create` and what it wrote to stderr."""
    config = world.config("Dialog", {"dialog": dialog})
    out = world.new("Dialog")
    with listening() as heard:
        status = world.library.status("GenieDialog_create", config, out)
    world.library.call("GenieDialogConfig_free", config)
    return status, heard.text


@item("12", "a dialog without its tokenizer, without its model")
def missing_files(world: World) -> None:
    os.chdir(world.scratch)
    for base, name in ((HTP, "NPU"), (CPU, "CPU")):
        status, text = _create(world, copy.deepcopy(base))
        world.see(f"{name}: no tokenizer", (status, bool(text)), (-1, True))
    (world.scratch / "tokenizer.json").write_text(json.dumps(document()), encoding="utf-8")
    for base, name in ((HTP, "NPU"), (CPU, "CPU")):
        status, text = _create(world, copy.deepcopy(base))
        world.see(f"{name}: no model", (status, bool(text)), (-1, True))


@item("13", "a dialog's paths are the working directory's")
def working_directory(world: World) -> None:
    # A name of its own: the library keeps a tokenizer that it has read by the path as it was given.
    name = "tokenizer-of-item-13.json"
    (world.scratch / name).write_text(json.dumps(document()), encoding="utf-8")
    elsewhere = world.scratch / "elsewhere"
    elsewhere.mkdir()
    dialog = copy.deepcopy(HTP)
    dialog["tokenizer"]["path"] = name
    del dialog["engine"]["backend"]["extensions"]
    for folder in (elsewhere, world.scratch):
        os.chdir(folder)
        status, text = _create(world, dialog)
        there = folder == world.scratch
        label = "in the tokenizer's folder" if there else "elsewhere"
        world.see(f"{label}: status", status, -1)
        world.see(f"{label}: the tokenizer is what is missing", name in text, not there)


@item("13b", "a node's paths are the working directory's")
def node_paths(world: World) -> None:
    whole = encoder_document(world)
    block = whole["text-encoder"]
    block["tokenizer"]["path"] = "tokenizer.json"
    block["lut"]["lut-path"] = "table.raw"
    elsewhere = world.scratch / "elsewhere"
    elsewhere.mkdir()
    for folder, expected in ((elsewhere, -1), (world.scratch, 0)):
        os.chdir(folder)
        config = world.config("Node", whole)
        out = world.new("Node")
        label = "in the files' folder" if expected == 0 else "elsewhere"
        world.status(label, expected, "GenieNode_create", config, out)


@item("58", "a profile after a dialog that could not be made")
def profile_after(world: World) -> None:
    os.chdir(world.scratch)
    profile = world.library.make("Profile", "GenieProfile_create", world.ffi.NULL)
    config = world.config("Dialog", {"dialog": HTP})
    world.library.call("GenieDialogConfig_bindProfiler", config, profile)
    out = world.new("Dialog")
    world.status("created", -1, "GenieDialog_create", config, out)
    world.status("profile freed", -14, "GenieProfile_free", profile)
    world.status("config freed", 0, "GenieDialogConfig_free", config)
    world.status("profile freed after that", 0, "GenieProfile_free", profile)
    world.status("profile freed again", -5, "GenieProfile_free", profile)


@item("34", "tokenizer: arguments without a tokenizer")
def tokenizer_arguments(world: World) -> None:
    null = world.ffi.NULL
    bogus = world.ffi.cast("Tokenizer", 0x1234)
    ids = world.ffi.new("const int32_t**")
    count = world.ffi.new("uint32_t*")
    world.status("encode", -2, "GenieTokenizer_encode", bogus, b"a", null, ids, count)
    text = world.ffi.new("const char**")
    world.status("decode", -2, "GenieTokenizer_decode", bogus, ids[0], 0, null, text)
