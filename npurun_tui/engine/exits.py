"""Why the engine process ended, in words."""

from __future__ import annotations

import signal
from typing import Final

_SIGNALS: Final = {
    "SIGKILL": "it was killed (SIGKILL); a system short of memory does that",
    "SIGSEGV": "its native library crashed (SIGSEGV)",
    "SIGBUS": "its native library crashed (SIGBUS); a model file cut short while in use does that",
    "SIGABRT": "its native library gave up (SIGABRT)",
    "SIGILL": "its native library uses instructions that this processor lacks (SIGILL)",
    "SIGTERM": "it was asked to end (SIGTERM)",
}

# NTSTATUS values as Windows gives them for an exit code.
_WINDOWS: Final = {
    0xC0000005: "its native library crashed (access violation)",
    0xC0000135: "a DLL that it needs was not found",
    0xC0000409: "its native library gave up (stack buffer overrun; ADSP_LIBRARY_PATH unset does that)",
    0xC000013A: "it was ended from the console",
}


def describe_exit(code: int) -> str:
    """`code` as `subprocess` gives it: negative for a signal, an NTSTATUS on Windows."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return _SIGNALS.get(name, f"it was ended by {name}")
    if text := _WINDOWS.get(code & 0xFFFFFFFF):
        return text
    return f"it ended with exit code {code}"
