"""What this Python is built for, and what the machine below it really is."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from typing import Final

from npurun_tui.engine.genie.binary import ARM64, X86_64

_NAMES: Final = {"aarch64": ARM64, "arm64": ARM64, "x86_64": X86_64, "amd64": X86_64}
_IMAGE_ARM64: Final = 0xAA64

NATIVE_PYTHON: Final = (
    "`winget install Python.Python.3.12 --architecture arm64`, then "
    "`py -3.12-arm64 -m pip install npurun-tui`."
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One Python on one machine."""

    system: str
    """As `sys.platform` names it: `win32`, `linux`, `darwin`."""
    python: str
    """The processor that this Python is built for: `ARM64`, `x86-64`, or another one's name."""
    native: str
    """The processor that the machine has. It differs where an emulator runs this Python."""

    @property
    def emulated(self) -> bool:
        """True for an x86-64 Python on Windows for ARM64."""
        return self.python != self.native

    @property
    def words(self) -> str:
        """`ARM64`, or `x86-64, emulated on ARM64`."""
        return f"{self.python}, emulated on {self.native}" if self.emulated else self.python


def this_machine() -> Machine:
    """The Python that runs this."""
    # Not platform.machine(): since Python 3.12 it asks WMI, which names the machine's processor also to an
    # emulated Python; before, the environment, which names Python's.
    name = sysconfig.get_platform().rpartition("-")[2].lower()
    if name == "universal2":
        name = os.uname().machine.lower()
    python = _NAMES.get(name, name)
    return Machine(sys.platform, python, _native(python))


def _native(python: str) -> str:
    if os.name != "nt":
        return python  # an emulated Linux (qemu-user, Rosetta) is not told apart, and need not be
    return ARM64 if _windows_machine() == _IMAGE_ARM64 else python


def _windows_machine() -> int:
    """The machine's IMAGE_FILE_MACHINE number; 0 on a Windows too old to say (before 10 1511), which is no ARM64."""
    import ctypes

    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - the attribute exists on Windows only
    if not hasattr(kernel, "IsWow64Process2"):
        return 0
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    process, native = ctypes.c_ushort(), ctypes.c_ushort()
    done = kernel.IsWow64Process2(
        ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(process), ctypes.byref(native)
    )
    return native.value if done else 0
