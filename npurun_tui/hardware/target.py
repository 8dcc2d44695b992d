"""What chip a bundle was compiled for, as its own files say it.

The extension config has the Hexagon architecture (`dsp_arch`) and the chip's number (`soc_model`); bundles of the
model zoo add a metadata file with the device's name; file names often carry it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.hardware.chips import Chip, chip_of
from npurun_tui.text import one_line

_LARGEST: Final = 4 << 20
_DEVICE_KEYS: Final = frozenset(
    {"device", "device_name", "target_device", "chipset", "chipset_name", "soc"}
)
_YAML_LINE: Final = re.compile(r"^[\s-]*([\w-]+):\s*['\"]?([^'\"#\n]+)", re.MULTILINE)
_ARCH: Final = re.compile(r"v\d{2,3}")


@dataclass(frozen=True, slots=True)
class Target:
    """Each is empty or 0 where no file says it."""

    arch: str = ""
    soc_model: int = 0
    device: str = ""

    @property
    def words(self) -> str:
        """`Hexagon v73, soc_model 60, Snapdragon X Elite CRD`."""
        parts = [f"Hexagon {self.arch}" if self.arch else ""]
        parts += [f"soc_model {self.soc_model}" if self.soc_model else "", self.device]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Check:
    """One of the three proofs. `passed` is None where it cannot be told here."""

    key: str
    passed: bool | None
    words: str


def read_target(folder: Path) -> Target:
    """What the files in `folder` say. Files that cannot be read say nothing."""
    arch, soc_model = "", 0
    devices: list[str] = []
    for file in sorted(folder.glob("*.json")):
        for key, value in _pairs(_json(file)):
            if key == "dsp_arch" and isinstance(value, str) and _ARCH.fullmatch(value.lower()):
                arch = arch or value.lower()
            elif key in {"soc_model", "soc_id"} and isinstance(value, int):
                soc_model = soc_model or value
            elif "metadata" in file.name and key in _DEVICE_KEYS and isinstance(value, str):
                devices.append(value)
    for file in sorted(folder.glob("metadata.y*ml")):
        found = (match.groups() for match in _YAML_LINE.finditer(_text(file)))
        devices += [value.strip() for key, value in found if key.lower() in _DEVICE_KEYS]
    if not devices:
        # "..._snapdragon_x_elite_1_of_4.bin": separators are blanks to a reader.
        names = [re.sub(r"[_.-]+", " ", file.stem) for file in sorted(folder.glob("*.bin"))]
        devices = [chip.name for name in names if (chip := chip_of(name))]
    return Target(arch, soc_model, one_line(devices[0], 80) if devices else "")


def target_check(target: Target, archs: tuple[str, ...], chip: Chip | None) -> Check:
    """The bundle's target against the runtime's architectures and, where its name is known, the chip."""
    if not target.words:
        return Check("target", None, "no file of the bundle says what it was compiled for")
    words = f"compiled for {target.words}"
    if target.arch and target.arch not in archs:
        have = ", ".join(archs) or "none"
        return Check("target", False, f"{words}; this runtime drives {have}")
    if chip is None:
        return Check("target", None, f"{words}; this machine's chip is not one that is known here")
    arch = target.arch or (made.arch if (made := chip_of(target.device)) else "")
    here = f"this machine is a {chip.name} with Hexagon {chip.arch}"
    if arch and arch != chip.arch:
        return Check("target", False, f"{words}; {here}")
    if target.soc_model and chip.soc_model and target.soc_model != chip.soc_model:
        return Check("target", False, f"{words}; {here}, soc_model {chip.soc_model}")
    return Check("target", True if arch else None, f"{words}; {here}")


def _pairs(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > 16:  # no bundle nests so deep; a hostile one could
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield key.lower(), item
            yield from _pairs(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item, depth + 1)


def _json(file: Path) -> Any:
    # A tokenizer.json has megabytes and nothing that is wanted here.
    if file.name.startswith("tokenizer"):
        return None
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError):
        return None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST).decode("utf-8-sig", "replace")
    except OSError:
        return ""
