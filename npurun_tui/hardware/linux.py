"""Linux: the device tree says the chip, the remote processors and their device nodes say the DSP.

There is no version or date of an NPU driver to ask for: the driver is the kernel's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from npurun_tui.hardware.facts import NOT_FOUND, Fact, Hardware, fact

_NODES: Final = ("fastrpc-cdsp", "fastrpc-cdsp-secure", "fastrpc-cdsp1", "adsprpc-smd")
_LARGEST: Final = 1 << 20


def probe(root: Path = Path("/")) -> Hardware:
    """Ask this machine; `root` is where its file system begins (milliseconds)."""
    npu, blocked = _npu(root)
    kernel = _read(root / "proc/sys/kernel/osrelease").strip()
    return Hardware(
        system=_system(root),
        soc=_soc(root),
        npu=npu,
        driver_version=fact(f"kernel {kernel}" if npu.found and kernel else ""),
        driver_date=Fact("not told by Linux", found=False) if npu.found else NOT_FOUND,
        npu_blocked=blocked,
    )


def _system(root: Path) -> Fact:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read(root / "etc/os-release"), re.MULTILINE)
    return fact(match[1] if match else "")


def _soc(root: Path) -> Fact:
    tree = root / "sys/firmware/devicetree/base"
    board = _read(tree / "model").strip("\0\n ")
    # `compatible` lists boards first and the chip last: "lenovo,yoga-slim7x\0qcom,x1e80100\0".
    chips = [name for name in _read(tree / "compatible").split("\0") if name.startswith("qcom,")]
    if board:
        return fact(f"{board} ({chips[-1]})" if chips else board)
    match = re.search(r"^model name\s*:\s*(.+)$", _read(root / "proc/cpuinfo"), re.MULTILINE)
    return fact(match[1] if match else "")


def _npu(root: Path) -> tuple[Fact, str]:
    """The compute DSP (CDSP), which is the NPU, and why it cannot be used."""
    nodes = [root / "dev" / name for name in _NODES if (root / "dev" / name).exists()]
    running = False
    for processor in sorted((root / "sys/class/remoteproc").glob("remoteproc*")):
        # Mainline kernels name it by its address; the firmware's file name says what it is.
        name = f"{_read(processor / 'name')} {_read(processor / 'firmware')}"
        running |= "cdsp" in name
        if "cdsp" in name and (state := _read(processor / "state").strip()) not in {"running", ""}:
            return fact("Qualcomm Hexagon (CDSP)"), (
                f"The DSP is {state}: `echo start | sudo tee {processor}/state` starts it."
            )
    if not nodes and not running:
        return NOT_FOUND, ""
    if not nodes:
        return fact("Qualcomm Hexagon (CDSP)"), (
            "The DSP runs, but there is no /dev/fastrpc-cdsp: the kernel needs CONFIG_QCOM_FASTRPC "
            "(`sudo modprobe fastrpc`)."
        )
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        node = f"/dev/{nodes[0].name}"
        return fact("Qualcomm Hexagon (CDSP)"), (
            f"This user may not open {node}: `sudo usermod -aG $(stat -c %G {node}) $USER`, then log in again."
        )
    return fact("Qualcomm Hexagon (CDSP)"), ""


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
