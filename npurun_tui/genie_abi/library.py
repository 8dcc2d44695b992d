"""What the functions of the library share: cffi's two halves, the registry, the claimed version, and conversions."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Final

from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError, invalid_argument
from npurun_tui.genie_abi.registry import Registry

RELEASES: Final = {
    "1.18": (1, 18, 0),
    "1.19": (1, 19, 0),
    "1.20": (1, 20, 0),
    "1.20-2.50": (1, 20, 0),
    "1.21": (1, 21, 0),
}
"""What may be claimed. QAIRT 2.49.40 and 2.50.40 have the same API version and differ in one config key."""

NEWEST: Final = "1.21"


@dataclass(slots=True)
class Library:
    """One loaded library; there is one in a process."""

    ffi: Any
    lib: Any
    release: str = NEWEST
    handles: Registry = field(default_factory=Registry)

    @property
    def version(self) -> tuple[int, int, int]:
        return RELEASES[self.release]

    @property
    def validates_by_schema(self) -> bool:
        """From 1.21 on a wrong value is a wrong schema (-8), not a wrong value (-9)."""
        return self.version >= (1, 21, 0)

    def number(self, handle: Any) -> int:
        """A handle as C has it, as a number."""
        return int(self.ffi.cast("uintptr_t", handle))

    def get(self, handle: Any, kind: type[Any]) -> Any:
        """The object behind a handle. Raises AbiError -5."""
        return self.handles.get(self.number(handle), kind)

    def free(self, handle: Any, kind: type[Any]) -> Any:
        """The object, whose handle is no more. Raises AbiError -5."""
        thing = self.get(handle, kind)
        self.handles.remove(self.number(handle))
        return thing

    def give(self, out: Any, thing: object) -> None:
        """Store a new handle for `thing` where `out` points. Only now, so that a failure leaves `out` as it was."""
        out[0] = self.ffi.cast(self.ffi.typeof(out).item, self.handles.add(thing))

    def text(self, pointer: Any, what: str = "text") -> str:
        """A C string. Raises AbiError -2 for NULL, -1 for what is not UTF-8."""
        if pointer == self.ffi.NULL:
            raise invalid_argument(f"{what} is NULL.")
        try:
            return str(self.ffi.string(pointer).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise AbiError(
                Status.ERROR_GENERAL, f"The {what} is not valid UTF-8 ({error.reason})."
            ) from error

    def need(self, *pointers: Any) -> None:
        """Raise AbiError -2 where one of `pointers` is NULL."""
        if any(pointer == self.ffi.NULL for pointer in pointers):
            raise invalid_argument("An argument is NULL.")

    def need_after(self, handle: Any, *pointers: Any) -> None:
        """The same, for functions that look at a handle after its arguments, unless it is NULL."""
        if handle != self.ffi.NULL:
            self.need(*pointers)

    def fill(self, allocate: Any, out: Any, data: bytes) -> None:
        """Have the client allocate memory for `data`, write it there, and point `out` to it."""
        memory = self.ffi.new("const char**")
        allocate(len(data), memory)
        if memory[0] == self.ffi.NULL:
            raise AbiError(Status.ERROR_MEM_ALLOC, "The client allocated nothing.")
        self.ffi.memmove(memory[0], data, len(data))
        out[0] = self.ffi.cast(self.ffi.typeof(out).item, memory[0])

    def say(self, words: str) -> None:
        """Write to the process's stderr, as native code does."""
        try:
            os.write(2, (words.rstrip() + "\n").encode("utf-8", "replace"))
        except OSError:  # stderr is closed: nobody is there to read
            return


def parse(text: str) -> Any:
    """JSON as Genie takes it: strict; of a key that stands twice the last one counts, but the root's must not.

    Raises:
        AbiError: -7 where it is not JSON, -8 for a root key that stands twice.
    """
    last: list[list[tuple[str, Any]]] = [[]]

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last[0] = pairs
        return dict(pairs)

    try:
        document = json.loads(text, object_pairs_hook=keep, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise AbiError(Status.ERROR_JSON_FORMAT, f"Not JSON: {error}") from error
    if isinstance(document, dict) and len(document) != len(last[0]):
        raise AbiError(Status.ERROR_JSON_SCHEMA, "The root key stands twice.")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def claimed(built: str) -> str:
    """The release to claim: what NPURUN_ABI_API says, else what the library was built for."""
    wanted = os.environ.get("NPURUN_ABI_API", built)
    wanted = wanted if wanted in RELEASES else re.sub(r"^(\d+\.\d+)\..*$", r"\1", wanted)
    return wanted if wanted in RELEASES else built
