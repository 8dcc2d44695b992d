"""Windows: one PowerShell for everything, since each costs a second to start."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

from npurun_tui.hardware.facts import NOT_FOUND, Fact, Hardware, Silent, ask, fact, unasked

SCRIPT: Final = """
$ErrorActionPreference = 'SilentlyContinue'
$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8
$os = Get-CimInstance Win32_OperatingSystem
$cpu = Get-CimInstance Win32_Processor | Select-Object -First 1
$npu = Get-PnpDevice -Status OK | Where-Object {
  $_.Manufacturer -match 'Qualcomm' -and
  ($_.Class -eq 'ComputeAccelerator' -or $_.Class -eq 'Compute' -or $_.FriendlyName -match 'NPU|Hexagon|AI Engine')
} | Select-Object -First 1
$driver = @{}
if ($npu) {
  foreach ($key in 'DEVPKEY_Device_DriverVersion', 'DEVPKEY_Device_DriverDate') {
    $data = (Get-PnpDeviceProperty -InstanceId $npu.InstanceId -KeyName $key).Data
    if ($data -is [datetime]) { $data = $data.ToUniversalTime().ToString('yyyy-MM-dd') }
    $driver[$key] = "$data"
  }
}
@{
  system = $os.Caption; build = $os.BuildNumber; processor = $cpu.Name; npu = $npu.FriendlyName;
  version = $driver['DEVPKEY_Device_DriverVersion']; date = $driver['DEVPKEY_Device_DriverDate']
} | ConvertTo-Json -Compress
"""


def powershell(script: str) -> tuple[str, ...]:
    """The command that runs `script`; encoded, because quotes in an argument reach PowerShell altered."""
    encoded = base64.b64encode(script.encode("utf-16-le")).decode("ascii")
    return ("powershell", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded)


def probe() -> Hardware:
    """Ask this machine (1 to 10 seconds)."""
    try:
        return read(ask(powershell(SCRIPT)))
    except Silent as error:
        return _unknown(unasked(str(error)))


def read(answer: str) -> Hardware:
    """What the script printed, in words."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return _unknown(unasked("PowerShell printed something else than JSON"))
    if not isinstance(document, dict):
        return _unknown(unasked("PowerShell printed something else than an object"))
    system = _text(document, "system")
    build = _text(document, "build")
    npu = fact(_text(document, "npu"))
    return Hardware(
        system=fact(f"{system} (build {build})" if system and build else system),
        soc=fact(re.sub(r"\s+", " ", _text(document, "processor"))),
        npu=npu,
        driver_version=fact(_text(document, "version")) if npu.found else NOT_FOUND,
        driver_date=fact(_text(document, "date")) if npu.found else NOT_FOUND,
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return str(value) if isinstance(value, str | int) else ""


def _unknown(why: Fact) -> Hardware:
    return Hardware(why, why, why, why, why)
