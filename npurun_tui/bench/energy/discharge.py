"""Windows: what the battery gives, which is what the whole machine takes while the charger is away.

`BatteryStatus` in WMI's `root\\wmi`: `DischargeRate` is milliwatts, a LONG, and 0x80000000 where the battery
cannot tell (https://learn.microsoft.com/en-us/windows/win32/api/batclass/ns-batclass-battery_wmi_status).

Python reaches WMI only through another library or another program. One PowerShell that goes on costs its start and one
small query a second, which is more often than a battery's gauge has something new.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from npurun_tui.bench.energy.source import BATTERY, WHOLE_MACHINE, Readings, SourceAbsent
from npurun_tui.hardware.windows import powershell

# It ends with its parent, also where that is killed: an error in writing would not end it. Truths and whole numbers are
# the same in every language and code page, so nothing else is asked for.
_SCRIPT: Final = """
$ErrorActionPreference = 'SilentlyContinue'
while (Get-Process -Id {parent}) {{
  $rows = Get-CimInstance -Namespace root/wmi -ClassName BatteryStatus |
    Select-Object PowerOnline, Discharging, DischargeRate
  ConvertTo-Json -Compress -InputObject @($rows)
  [Console]::Out.Flush()
  Start-Sleep -Milliseconds 1000
}}
"""
_STALE: Final = 5.0
"""Seconds after which a line says nothing of now."""
_UNKNOWN: Final = 1_000_000
"""Milliwatts that no battery gives: what stands for "unknown" is far beyond."""
_LONGEST: Final = 1 << 20
_APART: Final[int] = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""In a console of its own that is not shown: it can change nothing of ours, and our Ctrl+C does not end it."""


class Discharge:
    """All batteries of the machine together."""

    name = BATTERY
    covers = WHOLE_MACHINE

    def __init__(
        self,
        command: tuple[str, ...] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command` prints a JSON line for each look; None is this system's own."""
        self._given = command is not None
        self._command = command or powershell(_SCRIPT.format(parent=os.getpid()))
        self._now = now
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._latest: tuple[float, bytes] | None = None
        self._ended = False

    def open(self) -> None:
        """Start the program; what it says is read as it comes. Raises SourceAbsent."""
        import psutil

        if not self._given and psutil.sensors_battery() is None:
            raise SourceAbsent("Windows shows no battery")
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=_APART,
            )
        except OSError as error:
            raise SourceAbsent(
                f"PowerShell could not be started ({error.strerror or error})"
            ) from error
        self._reader = threading.Thread(
            target=self._listen, args=(self._process,), name="battery", daemon=True
        )
        self._reader.start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            while line := process.stdout.readline(_LONGEST):
                self._latest = (self._now(), line)
        self._ended = True

    def read(self, pids: Collection[int]) -> Readings:  # noqa: ARG002 - a battery knows no processes
        """What the last line says; empty before the first.

        Raises:
            SourceAbsent: there is no battery, or not any more.
            OSError, ValueError: the program has ended, or printed something else.
        """
        if self._latest is None or self._now() - self._latest[0] > _STALE:
            if self._ended:
                raise OSError("PowerShell has ended")
            return Readings()
        return discharge(self._latest[1])

    def close(self) -> None:
        """End the program; also twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join()
        if process.stdout is not None:
            process.stdout.close()


def discharge(line: bytes) -> Readings:
    """What a JSON list of `BatteryStatus` objects says.

    Raises:
        SourceAbsent: there is no battery.
        ValueError: it is something else.
    """
    document = json.loads(line)
    if not isinstance(document, list):
        raise ValueError("PowerShell printed something else than a list")
    rows = [row for row in document if isinstance(row, dict)]
    if not rows:
        raise SourceAbsent("Windows shows no battery")
    givers = [row for row in rows if row.get("Discharging") is True]
    plugged = any(row.get("PowerOnline") is True for row in rows)
    found = Readings(on_mains=plugged or not givers)
    rates = [row.get("DischargeRate") for row in givers]
    milliwatts = [rate for rate in rates if isinstance(rate, int) and 0 < rate < _UNKNOWN]
    # With the charger in, the battery gives only what that lacks; one that cannot tell leaves the sum unknown.
    if not found["on_mains"] and milliwatts and len(milliwatts) == len(rates):
        found["watts"] = sum(milliwatts) / 1000
    return found
