"""What the real library needs, fetched by package name into the user's cache folder.

Nothing of the machine is changed but, as root, the installation of qemu-user. The foreign packages are unpacked, not
installed, and apt works on lists of its own. Each part is built beside its place and renamed when it is whole.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock

WHEELS: Final = {"1.18": "2.3.0", "1.21": "2.7.0"}
"""Releases of onnxruntime-qnn by the API version of the libGenie in them."""

_SYSTEM: Final = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3"),
    *("libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1", "libncursesw6", "libtinfo6"),
    # Without libatomic1, QnnSystem does not load.
    *("libreadline8", "libatomic1"),
)
"""Debian 12's packages of a Python and of what libGenie links to."""

SECONDS: Final = 240
"""For one download."""


class NotRun(Exception):
    """The real library cannot be asked on this machine now; the text says why."""


@dataclass(frozen=True, slots=True)
class Tools:
    """How to start a Python that can load the real library."""

    python: tuple[str, ...]
    path: str
    """Its PYTHONPATH without our own code."""
    libraries: dict[str, Path]
    """libGenie by API version."""


def tools() -> Tools:
    """Everything, fetched where it is not in the cache.

    Raises:
        NotRun: something is missing and cannot be had.
    """
    if sys.platform != "linux":
        raise NotRun("the real library is asked on Linux only.")
    cache = platformdirs.user_cache_path("npurun-tui", appauthor=False) / "real-genie"
    cache.mkdir(parents=True, exist_ok=True)
    native = platform.machine() == "aarch64"
    with FileLock(cache / "lock"):
        libraries = {
            api: _wheel(cache, f"onnxruntime-qnn-{wheel}", f"onnxruntime-qnn=={wheel}")
            / "onnxruntime_qnn"
            / "libGenie.so"
            for api, wheel in WHEELS.items()
        }
        if native:
            return Tools((sys.executable,), "", libraries)
        if platform.machine() != "x86_64":
            raise NotRun(f"there is no way to run ARM64 programs on {platform.machine()} here.")
        emulator = _emulator()
        root = _part(cache, "python-arm64", _unpack_system)
        site = _wheel(cache, "site-arm64", "cffi", "pycparser")
        python = (emulator, "-L", str(root), str(root / "usr" / "bin" / "python3.11"))
        return Tools(python, str(site), libraries)


def _part(cache: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name`, filled by `fill` where it is not there."""
    place = cache / name
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{name}-") as folder:
            whole = Path(folder) / "whole"
            whole.mkdir()
            fill(whole)
            whole.rename(place)
    return place


def _wheel(cache: Path, name: str, *requirements: str) -> Path:
    """A folder with the unpacked ARM64 wheels of these packages."""

    def fill(folder: Path) -> None:
        uv = shutil.which("uv")
        if uv is None:
            raise NotRun("uv is not installed, which fetches the wheels.")
        aim = ("--python-platform", "aarch64-manylinux_2_34", "--python-version", "3.11")
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", *aim]
        command += ["--target", str(folder), *requirements]
        run(command, f"{' and '.join(requirements)} could not be fetched")

    return _part(cache, name, fill)


def _emulator() -> str:
    """qemu-aarch64."""
    found = shutil.which("qemu-aarch64")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        run(["apt-get", "update", "-q"], "apt-get update failed")
        run(["apt-get", "install", "-y", "-q", "qemu-user"], "qemu-user could not be installed")
        found = shutil.which("qemu-aarch64")
    if found is None:
        raise NotRun("qemu-aarch64 is missing (Debian's qemu-user).")
    return found


def _unpack_system(folder: Path) -> None:
    """Fetch Debian's ARM64 packages and unpack them into `folder`."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise NotRun("there is no apt-get, which fetches the ARM64 Python.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        apt = Path(temporary)
        (apt / "cache" / "archives" / "partial").mkdir(parents=True)
        (apt / "state" / "lists" / "partial").mkdir(parents=True)
        options = {
            "Dir::State": apt / "state",
            "Dir::Cache": apt / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures::": "arm64",
        }
        if os.geteuid() == 0:
            options["APT::Sandbox::User"] = "root"
        command = ["apt-get", "-q"]
        for key, value in options.items():
            command += ["-o", f"{key}={value}"]
        run([*command, "update"], "the list of ARM64 packages could not be fetched")
        packages = [f"{name}:arm64" for name in _SYSTEM]
        run([*command, "download", *packages], "the ARM64 Python could not be fetched", apt)
        for package in sorted(apt.glob("*.deb")):
            run(["dpkg", "-x", str(package), str(folder)], f"{package.name} is damaged")


def run(command: Sequence[str], failure: str, folder: Path | None = None) -> None:
    """Run a client program. Raises NotRun with `failure` and the program's last line."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"{failure}: no end after {SECONDS} s.") from error
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise NotRun(f"{failure}: {last[0][:300]}")
