"""How busy the NPU is while a model runs: what the system measures, never an estimate.

Windows counts the use of each engine of each graphics adapter, the NPU among them, for each process. The NPU is the
adapter that has compute engines only; a graphics card has a 3D engine too. The counters are asked anew for each
sample, because an instance vanishes when a dialog is built anew. Linux documents no such counter.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from npurun_tui.hardware.windows import powershell

CANNOT: Final = "cannot be sampled here"

_SCRIPT: Final = """
$ErrorActionPreference = 'SilentlyContinue'
while ($true) {
  $rows = Get-CimInstance Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine |
    Select-Object Name, UtilizationPercentage
  ConvertTo-Json -Compress -InputObject @($rows)
  [Console]::Out.Flush()
  Start-Sleep -Milliseconds 500
}
"""
_INSTANCE: Final = re.compile(r"pid_(\d+)_luid_(\w+?_\w+?)_phys_\d+_eng_\d+_engtype_(.+)")
_LONGEST_LINE: Final = 4 << 20
FIRST_SAMPLE: Final = 15.0
"""Seconds that a cold PowerShell is given before the model is asked all the same."""


class NpuUsage:
    """Samples of the NPU's use by some processes, in percent, between `start` and `stop`."""

    def __init__(self, command: tuple[str, ...] | None = None) -> None:
        """`command` prints a JSON line for each sample; None is this system's own, where it has one."""
        if command is None and sys.platform == "win32":
            command = powershell(_SCRIPT)
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self.samples: list[float] = []
        self.reason = "" if command else CANNOT
        """Why there are no samples; empty while there may be."""

    async def start(self, pids: Callable[[], Collection[int]]) -> None:
        """Begin, and return once samples come; `pids` are the processes whose use counts, asked for at each sample.

        The first sample is dropped: it is from before whatever is to be measured.
        """
        if not self._command:
            return
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            self.reason = f"could not be sampled ({error.strerror or error})"
            return
        self._reader = asyncio.create_task(self._read(self._process, pids))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), FIRST_SAMPLE)
        self.samples.clear()

    async def _read(
        self, process: asyncio.subprocess.Process, pids: Callable[[], Collection[int]]
    ) -> None:
        if process.stdout is None:
            return
        with suppress(ValueError):  # a line beyond all measure: what was sampled until then counts
            while line := await process.stdout.readline():
                self.samples += [use] if (use := npu_use(line, pids())) is not None else []
                self._first.set()
        self._first.set()

    async def stop(self) -> None:
        """End; `samples` and `reason` are final."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
        if not self.samples and not self.reason:
            self.reason = "could not be sampled (the system's counters show no NPU)"


def family(pid: int | None) -> frozenset[int]:
    """Process `pid` and what it has started: in a virtual environment on Windows, python.exe starts the real one."""
    import psutil

    if pid is None:
        return frozenset()
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return frozenset({pid})
    return frozenset({pid, *(child.pid for child in children)})


def npu_use(line: bytes, pids: Collection[int]) -> float | None:
    """The NPU's use by the processes `pids` in one sample, in percent; None where the sample shows no NPU.

    `line` is a JSON list of `{"Name": "pid_…_luid_…_phys_0_eng_0_engtype_Compute", "UtilizationPercentage": 21}`.
    """
    rows = ((str(row.get("Name")), row.get("UtilizationPercentage")) for row in _rows(line))
    share = npu_share(rows, pids)
    return share.percent if share else None


@dataclass(frozen=True, slots=True)
class NpuShare:
    """What some processes use of the NPU."""

    percent: float
    adapters: frozenset[str]
    """The LUIDs of what is taken for an NPU, as the counters' instances name them."""


def npu_share(uses: Iterable[tuple[str, object]], pids: Collection[int]) -> NpuShare | None:
    """The NPU's use by the processes `pids`, from instances of the counter `GPU Engine` and their values in percent.

    None where no instance is an NPU's.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    used: dict[str, float] = defaultdict(float)
    for name, use in uses:
        match = _INSTANCE.fullmatch(name)
        if match is None:
            continue
        owner, adapter, kind = match.groups()
        kinds[adapter].add(kind.rstrip("_0123456789 ").lower())
        if int(owner) in pids and isinstance(use, int | float):
            used[adapter] = max(used[adapter], float(use))
    npus = frozenset(adapter for adapter, seen in kinds.items() if seen == {"compute"})
    return NpuShare(max(used[adapter] for adapter in npus), npus) if npus else None


def _rows(line: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return []
    rows = document if isinstance(document, list) else []
    return [row for row in rows if isinstance(row, dict)]
