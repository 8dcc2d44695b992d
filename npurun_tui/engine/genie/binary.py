"""Which processor a shared library was built for, read from its header before anything is loaded.

The loaders say "cannot open" or "%1 is not a valid Win32 application" for it. Only the public header fields of ELF, PE
and Mach-O are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ARM64: Final = "ARM64"
X86_64: Final = "x86-64"

_ELF: Final = {183: ARM64, 62: X86_64, 3: "32-bit x86", 40: "32-bit ARM", 164: "the Hexagon DSP"}
_PE: Final = {0xAA64: ARM64, 0x8664: X86_64, 0x014C: "32-bit x86", 0x01C4: "32-bit ARM"}
_MACH: Final = {0x0100000C: ARM64, 0x01000007: X86_64}


def built_for(file: Path) -> str:
    """`ARM64`, `x86-64` or another processor in words; empty where the file is no library that we can tell.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(64)
        if head[:4] == b"\x7fELF" and len(head) == 64:
            order = "big" if head[5] == 2 else "little"
            return _ELF.get(_number(head[18:20], order), "another processor")
        if head[:4] == b"\xcf\xfa\xed\xfe":
            return _MACH.get(_number(head[4:8]), "another processor")
        if head[:2] == b"MZ" and len(head) == 64:
            stream.seek(_number(head[0x3C:0x40]))
            portable = stream.read(6)
            if portable[:4] == b"PE\0\0" and len(portable) == 6:
                return _PE.get(_number(portable[4:6]), "another processor")
    return ""


def _number(data: bytes, order: str = "little") -> int:
    return int.from_bytes(data, "big" if order == "big" else "little")
