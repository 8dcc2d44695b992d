"""Handles: opaque numbers that stand for objects, so that a stale or foreign one is an error and never a crash."""

from __future__ import annotations

import secrets
from typing import Any, TypeVar

from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError

T = TypeVar("T")


class Registry:
    """Objects by handle. Used under Python's lock; a dictionary operation is one step there."""

    def __init__(self) -> None:
        self._objects: dict[int, Any] = {}

    def __len__(self) -> int:
        """Handles that are out."""
        return len(self._objects)

    def add(self, thing: object) -> int:
        """A new handle for `thing`, never 0."""
        while True:
            handle = secrets.randbits(63) | (1 << 63)
            if handle not in self._objects:
                self._objects[handle] = thing
                return handle

    def get(self, handle: int, kind: type[T]) -> T:
        """What `handle` stands for. Raises AbiError -5 where it is none, freed, or of another kind."""
        thing = self._objects.get(handle)
        if not isinstance(thing, kind):
            raise AbiError(Status.ERROR_INVALID_HANDLE, "Invalid handle.")
        return thing

    def remove(self, handle: int) -> None:
        """Free `handle`."""
        self._objects.pop(handle, None)

    def forget(self, thing: object) -> None:
        """Free every handle of `thing`: borrowed handles die with what they were borrowed from."""
        for handle in [key for key, value in self._objects.items() if value is thing]:
            del self._objects[handle]
