"""libGenie, opened with cffi in ABI mode: its functions by name, its statuses as errors with the library's own
words."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.genie import declarations
from npurun_tui.engine.genie.stderr import listening
from npurun_tui.errors import EngineLoadFailed, EngineUnavailable
from npurun_tui.text import one_line

OLDEST: Final = (1, 11)
"""The oldest API that the declarations hold for."""

_KNOWN_STATUS: Final = frozenset(status.value for status in Status)


@functools.cache
def foreign() -> Any:
    """The one FFI with the declarations in it.

    Raises:
        EngineUnavailable: cffi is not installed.
    """
    try:
        import cffi
    except ImportError as error:
        raise EngineUnavailable(
            f"The NPU engine needs the library cffi, which cannot be loaded ({one_line(str(error))}).",
            mend="`pip install cffi` brings it.",
        ) from error
    ffi = cffi.FFI()
    ffi.cdef(declarations.TYPES + declarations.FUNCTIONS)
    return ffi


class Library:
    """One opened libGenie. It stays loaded until the process ends: unloading native code is never safe."""

    def __init__(self, path: Path) -> None:
        """Open the shared library at `path` (blocking).

        Raises:
            EngineUnavailable: cffi is missing.
            EngineLoadFailed: it cannot be opened, or is not a Genie library that we know.
        """
        self.path = path
        self.ffi = foreign()
        try:
            self.lib = self.ffi.dlopen(str(path))
        except OSError as error:
            raise load_failure(path, error) from error
        self.version = self._read_version()

    def _read_version(self) -> tuple[int, int, int]:
        """The API's version, major, minor and patch; it is not the QAIRT version."""
        getters = [
            getattr(self.lib, f"Genie_getApi{part}Version", None)
            for part in ("Major", "Minor", "Patch")
        ]
        if None in getters:
            raise EngineLoadFailed(
                f"{one_line(str(self.path), 200)} is not a Genie library.",
                mend="NPURUN_GENIE_LIB must name Genie.dll or libGenie.so.",
            )
        major, minor, patch = (int(getter()) for getter in getters if getter is not None)
        if major != OLDEST[0] or (major, minor) < OLDEST:
            raise EngineLoadFailed(
                f"This Genie library has API {major}.{minor}.{patch}; 1.11 to 1.21 are known to work.",
                mend="`pip install --upgrade onnxruntime-qnn` brings one that does.",
            )
        return major, minor, patch

    @property
    def version_text(self) -> str:
        """The API's version as it is written: `1.21.0`."""
        return ".".join(map(str, self.version))

    def has(self, name: str) -> bool:
        """True where the library exports `name`: a missing function is a feature that is off."""
        return getattr(self.lib, name, None) is not None

    def status(self, name: str, *arguments: Any) -> int:
        """Call `name` and give its status, whatever that is.

        Raises:
            GenieError: -1 where the library has no such function.
        """
        function = getattr(self.lib, name, None)
        if function is None:
            raise GenieError(
                Status.ERROR_GENERAL, name, f"Genie {self.version_text} does not have it."
            )
        return int(function(*arguments))

    def call(self, name: str, *arguments: Any) -> Status:
        """Call `name`; its status where that is success or a warning.

        Raises:
            GenieError: a negative status, with what the library wrote to stderr.
        """
        with listening() as heard:
            value = self.status(name, *arguments)
        return checked(value, name, heard.text)

    def make(self, kind: str, name: str, *arguments: Any) -> Any:
        """Call `name`, whose last parameter is where the new handle goes; the handle.

        `kind` is one of `declarations.HANDLES`.
        """
        out = self.ffi.new(f"{kind}*")
        self.call(name, *arguments, out)
        return out[0]

    def data(self, name: str, handle: Any, *arguments: Any, extra: tuple[Any, ...] = ()) -> bytes:
        """Call `name(handle, *arguments, allocate, text, *extra)` and give the bytes that it filled in.

        The library asks our callback for memory, writes into it, and the memory stays ours.
        """
        buffer = Buffer(self.ffi)
        out = self.ffi.new("const char**")
        self.call(name, handle, *arguments, buffer.allocate, out, *extra)
        return buffer.taken()


class Buffer:
    """Memory that a library asks for through its allocation callback, for one call."""

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._memory: Any = None
        self._size = 0
        # A closure for each call: the callback has no user data, and two calls must not share memory.
        self.allocate = ffi.callback("AllocFn", self._allocate)

    def _allocate(self, size: int, out: Any) -> None:
        self._size = size
        self._memory = self._ffi.new("char[]", max(size, 1))
        out[0] = self._memory

    def taken(self) -> bytes:
        """All bytes that were asked for."""
        if self._memory is None:
            return b""
        return bytes(self._ffi.buffer(self._memory, self._size))


def checked(value: int, call: str, detail: str = "") -> Status:
    """`value` as a Status.

    Raises:
        GenieError: it is negative. A number that we do not know is told as -1 with its value in the words.
    """
    if value not in _KNOWN_STATUS:
        raise GenieError(
            Status.ERROR_GENERAL, call, f"status {value}. {one_line(detail, 600)}".strip()
        )
    status = Status(value)
    if status < 0:
        raise GenieError(status, call, one_line(detail, 600))
    return status


def load_failure(path: Path, error: OSError) -> EngineLoadFailed:
    """Why `path` was not opened, and what to do."""
    text = str(error)
    shown = one_line(str(path), 200)
    wrong = (
        "wrong ELF class",
        "invalid ELF header",
        "0xc1",
        "not a valid Win32",
        "incompatible architecture",
    )
    if any(sign in text for sign in wrong) or "cannot open shared object file: Exec format" in text:
        from platform import machine

        return EngineLoadFailed(
            f"{shown} is built for another processor than this Python ({machine()}).",
            mend="Use a native ARM64 Python with an ARM64 library; `npurun-tui doctor` shows both.",
        )
    if not path.exists():
        return EngineLoadFailed(
            f"There is no library {shown}.",
            mend="Set NPURUN_GENIE_LIB to Genie.dll or libGenie.so, or unset it.",
        )
    return EngineLoadFailed(
        f"The Genie library {shown} cannot be loaded: {one_line(text, 300)}.",
        mend="`npurun-tui doctor` says what is missing.",
    )
