"""Windows: performance counters, through the system's library for them (PDH), in this process.

Not through PowerShell and WMI: each look there at the counters of all processes costs some hundred milliseconds of
processor time, which the thing measured would lack; here it is a few. English names are asked for, since Windows
translates them. Functions and structures: Pdh.h and
https://learn.microsoft.com/en-us/windows/win32/perfctrs/using-the-pdh-functions-to-consume-counter-data.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

from npurun_tui.bench.energy.source import SourceAbsent

_FORMAT: Final = 0x0200 | 0x1000 | 0x8000
"""PDH_FMT_DOUBLE, PDH_FMT_NOSCALE (the counter's own unit) and PDH_FMT_NOCAP100."""
_MORE_DATA: Final = 0x800007D2
_NOTHING: Final = frozenset(
    {0x800007D5, 0xC0000BBA, 0xC0000BC6, 0x800007D1, 0x800007D6, 0x800007D7, 0x800007D8}
)
"""PDH_NO_DATA, PDH_CSTATUS_INVALID_DATA, PDH_INVALID_DATA and PDH_CSTATUS_NO_INSTANCE: nothing yet, or no instance;
PDH_CALC_NEGATIVE_DENOMINATOR, _TIMEBASE and _VALUE: two looks of which no rate can be made, as of an instance that
came between them."""
_VALID: Final = frozenset({0, 1})
"""PDH_CSTATUS_VALID_DATA and PDH_CSTATUS_NEW_DATA."""
_LARGEST: Final = 8 << 20


class _Item(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE_ITEM_W with the union's double."""

    _fields_ = (
        ("name", ctypes.c_wchar_p),
        ("status", ctypes.c_uint32),
        ("value", ctypes.c_double),
    )


class PdhFailed(Exception):
    """A call failed; the text names it and its status."""


class Counters:
    """The instances of some counters, such as `\\\\Energy Meter(*)\\\\Power`, all read at one moment."""

    def __init__(self, paths: Sequence[str], library: Any = None) -> None:
        """Open; rates have values from the second `collect` on.

        Raises:
            SourceAbsent: this system does not have the counters.
        """
        self._pdh = library if library is not None else _library()
        self._query = ctypes.c_void_p()
        self._counters: dict[str, ctypes.c_void_p] = {}
        self._check("PdhOpenQueryW", None, 0, ctypes.byref(self._query))
        for path in paths:
            counter = ctypes.c_void_p()
            try:
                self._check("PdhAddEnglishCounterW", self._query, path, 0, ctypes.byref(counter))
            except PdhFailed as error:
                self.close()
                raise SourceAbsent(f"Windows has no counter {path} here") from error
            self._counters[path] = counter

    def collect(self) -> None:
        """Ask for all of them. Raises PdhFailed."""
        self._check("PdhCollectQueryData", self._query, allowed=_NOTHING)

    def values(self, path: str) -> list[tuple[str, float]]:
        """Instances and values, in the counter's own unit, as of the last `collect`. Raises PdhFailed."""
        # Should the list grow after its size was asked for, that is asked for anew: what a call with too small a buffer
        # says of it is not to be relied on, says the documentation.
        for _ in range(3):
            size, count = ctypes.c_uint32(0), ctypes.c_uint32(0)
            status = self._array(path, size, count, None)
            if status == _MORE_DATA and size.value <= _LARGEST:
                buffer = ctypes.create_string_buffer(size.value)
                status = self._array(path, size, count, buffer)
                if status == 0:
                    return _items(buffer, count.value)
                if status == _MORE_DATA:
                    continue
            if status == 0 or status in _NOTHING:
                return []
            raise PdhFailed(f"PdhGetFormattedCounterArrayW: {status:#010x}")
        raise PdhFailed("PdhGetFormattedCounterArrayW: the list never stood still")

    def _array(self, path: str, size: ctypes.c_uint32, count: ctypes.c_uint32, buffer: Any) -> int:
        return self._call(
            "PdhGetFormattedCounterArrayW",
            self._counters[path],
            _FORMAT,
            ctypes.byref(size),
            ctypes.byref(count),
            buffer,
        )

    def close(self) -> None:
        """Let go; also twice."""
        if self._query:
            self._call("PdhCloseQuery", self._query)
            self._query = ctypes.c_void_p()

    def _check(self, name: str, *arguments: Any, allowed: frozenset[int] = frozenset()) -> None:
        status = self._call(name, *arguments)
        if status and status not in allowed:
            raise PdhFailed(f"{name}: {status:#010x}")

    def _call(self, name: str, *arguments: Any) -> int:
        return int(getattr(self._pdh, name)(*arguments)) & 0xFFFFFFFF


def _items(buffer: Any, count: int) -> list[tuple[str, float]]:
    items = ctypes.cast(buffer, ctypes.POINTER(_Item))
    # The names point into the buffer, and become Python's own here.
    return [
        (str(item.name), float(item.value))
        for item in (items[index] for index in range(count))
        if item.status in _VALID and item.name
    ]


_SIGNATURES: Final = {
    "PdhOpenQueryW": (ctypes.c_wchar_p, ctypes.c_size_t, ctypes.c_void_p),
    "PdhAddEnglishCounterW": (
        ctypes.c_void_p,
        ctypes.c_wchar_p,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ),
    "PdhCollectQueryData": (ctypes.c_void_p,),
    "PdhGetFormattedCounterArrayW": (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ),
    "PdhCloseQuery": (ctypes.c_void_p,),
}


def _library() -> Any:
    """Raises SourceAbsent."""
    try:
        # CDLL serves as well as WinDLL: 64-bit Windows has one calling convention.
        library = ctypes.CDLL("pdh.dll")
    except OSError as error:
        raise SourceAbsent("Windows' performance counters (pdh.dll) cannot be loaded") from error
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = ctypes.c_uint32
    return library
