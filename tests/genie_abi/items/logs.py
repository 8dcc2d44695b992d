"""Items 15 to 18: the log."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.genie_abi.config_cases import HTP
from tests.genie_abi.items.world import World, item

_CREATE = "GenieLog_create"


@item("15", "log: arguments")
def arguments(world: World) -> None:
    null = world.ffi.NULL
    config = world.ffi.cast("LogConfig", 0x1234)
    world.status("a config", -2, _CREATE, config, null, 1, world.new("Log"))
    world.status("NULL out", -2, _CREATE, null, null, 1, null)
    for level, expected in ((0, -2), (1, 0), (2, 0), (3, 0), (4, 0), (5, -2), (-1, -2)):
        out = world.new("Log")
        if world.status(f"level {level}", expected, _CREATE, null, null, level, out) == 0:
            world.status(f"level {level}, freed", 0, "GenieLog_free", out[0])


@item("16", "log: the default sink greets on stdout from level 3 on")
def default_sink(world: World) -> None:
    null = world.ffi.NULL

    for level in (1, 2, 3, 4):
        text = _stdout_of(world, partial(world.library.make, "Log", _CREATE, null, null, level))
        greeting = f"Logger created with level : {level}"
        world.see(f"level {level} greets", greeting in text, level >= 3)
        world.see(f"level {level} starts a line", text.startswith("\n"), level >= 3)


def _stdout_of(world: World, action: Callable[[], Any]) -> str:
    """What native code writes to fd 1 meanwhile, its buffer included."""
    native = ctypes.CDLL(None)
    native.fflush(None)
    before = os.dup(1)
    path = world.scratch / "stdout"
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        try:
            action()
            native.fflush(None)
        finally:
            os.dup2(before, 1)
            os.close(before)
    return path.read_bytes().decode("utf-8", "replace")


@item("17", "log: the callback's format and va_list belong together")
def callback(world: World) -> None:
    import cffi

    native = cffi.FFI()
    native.cdef("int vsnprintf(char *, size_t, const char *, void *);")
    libc = native.dlopen(None)
    heard: list[tuple[bool, str, int, bool]] = []
    expected: list[Any] = []

    def log(handle: Any, text: Any, level: int, nanoseconds: int, values: Any) -> None:
        room = native.new("char[512]")
        libc.vsnprintf(room, 512, native.cast("char *", text), native.cast("void *", values))
        format_ = world.ffi.string(text)
        heard.append((b"%" in format_, native.string(room).decode(), level, nanoseconds > 0))

    sink = world.ffi.callback("LogFn", log)
    world.kept.append(sink)
    null = world.ffi.NULL
    for level in (1, 2, 3, 4):
        world.library.make("Log", _CREATE, null, sink, level)
        if level >= 3:
            expected.append((True, f"Genie Logger created with level : {level}", 3, True))
    world.see("format has a field, text, level, time", heard, expected)


@item("18", "log: freed while it is bound")
def bound(world: World) -> None:
    null = world.ffi.NULL
    log = world.library.make("Log", _CREATE, null, null, 1)
    config = world.config("Dialog", {"dialog": HTP})
    world.status("bound", 0, "GenieDialogConfig_bindLogger", config, log)
    world.status("freed", 0, "GenieLog_free", log)
    world.status("freed again", -5, "GenieLog_free", log)
    world.status("config freed", 0, "GenieDialogConfig_free", config)
