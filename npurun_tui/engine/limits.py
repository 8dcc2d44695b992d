"""A bound on memory while something hostile is computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_MEMORY: Final = 512_000_000
"""Bytes that a chat template may add to the process; it can double a text in a loop."""


@contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Raise MemoryError in the block when the process would take `extra` bytes of address space more than now.

    Linux only: elsewhere the block runs unbounded (macOS does not enforce the limit, Windows has another interface).
    """
    if sys.platform != "linux":
        yield
        return
    import resource
    from pathlib import Path

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    wanted = pages * resource.getpagesize() + extra
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
