"""How long the machine has slept: what a session's clock cannot tell, because on Linux and macOS it sleeps too, and on
Windows it does not."""

from __future__ import annotations

import ctypes
import functools
import sys
import time


def slept() -> float | None:
    """Seconds that this machine has slept since it was started, as a clock: only differences mean something. None where
    the system does not tell."""
    seconds = None
    if sys.platform == "linux":
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    elif sys.platform == "darwin":
        # There CLOCK_MONOTONIC goes on in sleep, and the uptime does not.
        awake = time.clock_gettime(time.CLOCK_UPTIME_RAW)
        seconds = time.clock_gettime(time.CLOCK_MONOTONIC) - awake
    elif sys.platform == "win32":
        seconds = _slept_on_windows()
    return seconds


def _slept_on_windows() -> float | None:
    """`QueryInterruptTime` counts sleep and `QueryUnbiasedInterruptTime` does not, both in units of 100 ns."""
    try:
        base = _kernelbase()
        all_time, awake = ctypes.c_uint64(), ctypes.c_uint64()
        base.QueryInterruptTime(ctypes.byref(all_time))
        base.QueryUnbiasedInterruptTime(ctypes.byref(awake))
    except (OSError, AttributeError):
        return None
    return (all_time.value - awake.value) / 1e7


@functools.cache  # asked several times a second, and each loading makes classes anew
def _kernelbase() -> ctypes.CDLL:
    """Raises OSError."""
    return ctypes.CDLL("kernelbase.dll")
