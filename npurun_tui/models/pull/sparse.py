"""A file that is filled in any order: its holes on NTFS, and what it takes of the disk."""

from __future__ import annotations

import stat
import sys
from io import FileIO
from pathlib import Path
from typing import Final

_FSCTL_SET_SPARSE: Final = 0x000900C4
"""winioctl.h."""


def allow_holes(file: FileIO) -> None:
    """Have the new `file` take no room where nothing was written yet.

    Other file systems do so by themselves. NTFS fills a gap with zeros before it takes what lies behind it: writing the
    last block of 10 GB first would write all 10 GB. Where it is refused (FAT, some network shares) it just costs that.
    """
    if sys.platform == "win32":
        import ctypes
        import msvcrt
        from ctypes import wintypes

        control = ctypes.WinDLL("kernel32").DeviceIoControl
        control.argtypes = [
            *(wintypes.HANDLE, wintypes.DWORD),
            *(wintypes.LPVOID, wintypes.DWORD, wintypes.LPVOID, wintypes.DWORD),
            *(ctypes.POINTER(wintypes.DWORD), wintypes.LPVOID),
        ]
        handle, returned = msvcrt.get_osfhandle(file.fileno()), wintypes.DWORD()
        control(handle, _FSCTL_SET_SPARSE, None, 0, None, 0, ctypes.byref(returned), None)


def taken(path: Path) -> int:
    """Bytes that the file takes of the disk already, 0 where it is not there; holes count where they cost room."""
    try:
        facts = path.stat()
    except OSError:
        return 0
    if sys.platform == "win32":
        sparse = facts.st_file_attributes & stat.FILE_ATTRIBUTE_SPARSE_FILE
        return 0 if sparse else facts.st_size
    else:  # noqa: RET505 - so that each platform's types are checked
        return facts.st_blocks * 512
