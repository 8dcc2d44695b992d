"""Where the files of Qualcomm's runtime lie, and which of them belong together.

An SDK has a folder of libraries for each platform and one of DSP code ("skels") for each Hexagon architecture; the
onnxruntime-qnn wheel has all of it in one folder. An architecture can be used only where the processor's half (the
stub, `QnnHtpV73Stub`) and the DSP's half (the skel, `libQnnHtpV73Skel`) are both there.

Which of several architectures a machine has is not decided here, and never from a chip's name: the runtime asks the
device itself and loads the stub that fits. All that it needs is to find them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from npurun_tui.engine.genie.binary import ARM64, X86_64
from npurun_tui.engine.genie.machine import Machine

WHEEL: Final = "onnxruntime-qnn"

_LIBRARIES: Final = {
    ("win32", ARM64): ("aarch64-windows-msvc",),
    ("win32", X86_64): ("x86_64-windows-msvc",),
    ("linux", ARM64): ("aarch64-ubuntu-gcc9.4", "aarch64-oe-linux-gcc11.2"),
    ("linux", X86_64): ("x86_64-linux-clang",),
}
_STUB: Final = re.compile(r"(?:lib)?QnnHtpV(\d+)Stub\.(?:dll|so)", re.IGNORECASE)
_SKEL: Final = re.compile(r"libQnnHtpV(\d+)Skel\.so", re.IGNORECASE)
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")
_YAML: Final = re.compile(r"^\s*version:\s*['\"]?([\w.]+)", re.MULTILINE)

RELEASES: Final = {
    "2.3.": "2.47.0",
    "2.4.": "2.48.40",
    "2.5.": "2.49.40",
    "2.6.": "2.50.40",
    "2.7.": "2.51.0",
}
"""The QAIRT release in each release of the wheel (measured by the API version and the wheel's own notes)."""


def library_name(system: str) -> str:
    """The Genie library's file name."""
    return {"win32": "Genie.dll", "darwin": "libGenie.dylib"}.get(system, "libGenie.so")


def beside(system: str) -> tuple[str, str]:
    """The two libraries that Genie opens from its own folder."""
    return (
        ("QnnSystem.dll", "QnnHtp.dll")
        if system == "win32"
        else ("libQnnSystem.so", "libQnnHtp.so")
    )


def sdk_libraries(root: Path, machine: Machine, *, ubuntu: bool) -> Iterator[Path]:
    """The folders below an SDK that may hold the library for `machine`, the likeliest first."""
    names: Sequence[str] = _LIBRARIES.get((machine.system, machine.python), ())
    for name in names if ubuntu else reversed(names):
        yield root / "lib" / name


def like_ubuntu(root: Path = Path("/")) -> bool:
    """True on Ubuntu and Debian, whose C library the SDK's Ubuntu build is for."""
    try:
        text = (root / "etc/os-release").read_text("utf-8", "replace")
    except OSError:
        return False
    return re.search(r"^ID(_LIKE)?=.*(ubuntu|debian)", text, re.MULTILINE) is not None


@dataclass(frozen=True, slots=True)
class Skels:
    """The Hexagon architectures (`v73`) whose stub is there, and where the DSP code lies."""

    whole: tuple[str, ...]
    """Stub and skel are there; ascending."""
    halves: tuple[str, ...]
    """The stub is there and the skel is not."""
    files: tuple[Path, ...]
    """The skels of `whole`, in the same order."""


def find_skels(folder: Path) -> Skels:
    """What can be used with the libraries in `folder`: its own skels, or those of the SDK that it is in."""
    stubs = {int(match[1]) for name in _names(folder) if (match := _STUB.fullmatch(name))}
    skels: dict[int, Path] = {}
    places = [folder, *sorted(folder.parent.glob("hexagon-v*/unsigned"))]
    for place in places:
        for name in _names(place):
            if match := _SKEL.fullmatch(name):
                skels.setdefault(int(match[1]), place / name)
    whole = sorted(stubs & skels.keys())
    return Skels(
        tuple(f"v{number}" for number in whole),
        tuple(f"v{number}" for number in sorted(stubs - skels.keys())),
        tuple(skels[number] for number in whole),
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


def numeric(path: Path) -> tuple[int, ...]:
    """A folder's version as numbers, for sorting: 2.9 is older than 2.45. Empty where its name holds none."""
    match = _VERSION.search(path.name)
    return tuple(int(part[:9]) for part in match[0].split(".")) if match else ()


def qairt_version(folder: Path) -> str:
    """The QAIRT release of the libraries in `folder`, empty where nothing there says it.

    An SDK says it in `sdk.yaml` two folders up, or by the name of its folder; a wheel in a note, or by its version.
    """
    root = folder.parent.parent
    for place in (folder, root):
        try:
            text = (place / "sdk.yaml").read_text("utf-8", "replace")
        except OSError:
            continue
        if match := _YAML.search(text):
            return match[1]
    wheel = wheel_version(folder)
    if wheel:
        older = next((found for start, found in RELEASES.items() if wheel.startswith(start)), "")
        return _built_with(folder) or older
    return ".".join(map(str, numeric(root))) if folder.parent.name == "lib" else ""


def _built_with(folder: Path) -> str:
    """The release that a wheel's own note (`qnn_version` in its package) names. The note is read, never run."""
    try:
        text = (folder / "build_and_package_info.py").read_text("utf-8", "replace")
    except OSError:
        return ""
    match = re.search(r"^qnn_version\s*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return match[1] if match else ""


def wheel_version(folder: Path) -> str:
    """The version of the onnxruntime-qnn wheel that `folder` is the package of; empty where it is none."""
    if folder.name != "onnxruntime_qnn":
        return ""
    from importlib import metadata

    for found in metadata.distributions(name=WHEEL, path=[str(folder.parent)]):
        return found.version
    return ""
