"""How many threads llama.cpp gets: too many are far worse than too few.

ggml's threads wait for each other after every operation, spinning. With one thread more than there are free cores,
each of these waits lasts until the scheduler has been round: measured, 20 times slower. So one core is left for the
workbench and everything else, hyper-threads do not count, and the limits of containers do.
"""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def choose_threads(wanted: int = 0) -> int:
    """`wanted`, or one less than the physical cores this process may use; at least 1."""
    if wanted > 0:
        return wanted
    import psutil  # 15 ms; only the engine's process needs it

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, _allowed_by_affinity(), _allowed_by_cgroup()) - 1)


def _allowed_by_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _allowed_by_cgroup(quota_file: Path = _CGROUP_QUOTA) -> int:
    """The whole cores in the container's CPU quota; a large number where there is none."""
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (
        OSError,
        ValueError,
        ZeroDivisionError,
    ):  # no such file, "max", or a form we do not know
        return 1 << 16
