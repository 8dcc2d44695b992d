"""Compiling the library: C from cffi's embedding, our helpers, and the lines that start Python in it."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from npurun_tui.engine.genie.declarations import TYPES
from npurun_tui.errors import EngineUnavailable, NpurunError
from npurun_tui.genie_abi.csource import EXPORTS, HELPERS, PATH_BEFORE, source
from npurun_tui.genie_abi.library import RELEASES
from npurun_tui.text import one_line

MODULE: Final = "_npurun_genie_abi"

_START: Final = """
import os, sys
if {before!r} in os.environ:
    before = os.environ.pop({before!r})
    os.environ.pop("PYTHONPATH", None)
    if before:
        os.environ["PYTHONPATH"] = before
for folder in {folders!r}:
    if folder not in sys.path:
        sys.path.append(folder)
from {module} import ffi, lib
from npurun_tui.genie_abi.exports import install
install(ffi, lib, {release!r})
"""


def file_name(platform: str = sys.platform) -> str:
    """What Genie's library is called on `platform`."""
    return {"win32": "Genie.dll", "darwin": "libGenie.dylib"}.get(platform, "libGenie.so")


def build(out: Path, release: str) -> Path:
    """Compile the library into the folder `out`; its path.

    `release` is the API version that it claims by default. It needs this very Python at run time: its folders are
    written into it.

    Raises:
        EngineUnavailable: there is no C compiler, or no setuptools to call it.
        NpurunError: `release` is unknown, or the folder cannot be written.
    """
    if release not in RELEASES:
        raise NpurunError(
            f"There is no Genie API {one_line(release, 20)} to claim.",
            mend=f"Choose one of {', '.join(RELEASES)}.",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            built = _compile(Path(folder), release)
            target = out / file_name()
            partial = target.with_name(f".{target.name}.part")
            shutil.copyfile(built, partial)
            partial.replace(target)
    except OSError as error:
        raise NpurunError(f"The library could not be written: {error}.") from error
    return target.absolute()


def _compile(folder: Path, release: str) -> Path:
    try:
        import cffi
        import setuptools  # noqa: F401 - cffi calls the compiler through it

        ffi = cffi.FFI()
        ffi.embedding_api(TYPES + EXPORTS)
        ffi.cdef(HELPERS)
        ffi.set_source(MODULE, source(_folders()))
        ffi.embedding_init_code(
            _START.format(folders=_folders(), module=MODULE, release=release, before=PATH_BEFORE)
        )
        return Path(ffi.compile(tmpdir=str(folder), target=file_name(), verbose=False))
    except ImportError as error:
        raise EngineUnavailable(
            f"Building the library needs {error.name}, which is not installed.",
            mend=f"`pip install {error.name}` brings it.",
        ) from error
    except Exception as error:  # the compiler's failure comes as one of many kinds
        raise _failed(error) from error


def _failed(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(
        f"The library could not be compiled: {one_line(str(error), 300)}.",
        mend="It needs a C compiler (gcc, clang or MSVC) and Python's headers (python3-dev).",
    )


def _folders() -> list[str]:
    """Where this program and its libraries are, for a Python that a C program starts."""
    import npurun_tui

    package = str(Path(npurun_tui.__file__).resolve().parents[1])
    return list(
        dict.fromkeys([package, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    )
