"""Making a runtime loadable: the search paths that Genie, QNN and the DSP look at.

To be called before the library is opened: the DSP's path is read at the first use of the NPU, and Windows resolves
a DLL's neighbours when it is loaded. Windows needs both the process's DLL folders and PATH: with the former alone
Genie.dll opens and then finds no QnnSystem (published device reports).

LD_LIBRARY_PATH is left alone: Linux reads it when a process starts, so that setting it here would change nothing, and
Genie looks for what it needs in its own folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie.discovery import Runtime

_DSP_FOLDERS: Final = ("usr/lib/rfsa/adsp", "lib/dsp/cdsp", "dsp/image/dsp/cdsp*")
"""Where Linux images keep what the DSP loads beside the skel (Ubuntu's and OpenEmbedded's places)."""

_cookies: dict[str, Any] = {}
"""Windows forgets a DLL folder when its cookie is collected."""


def prepare(
    runtime: Runtime,
    environ: MutableMapping[str, str] = os.environ,
    root: Path = Path("/"),
    system: str = sys.platform,
) -> None:
    """Have `runtime` found by the loaders. Calling it again changes nothing."""
    windows = system == "win32"
    if windows:
        environ["PATH"] = _joined([str(runtime.folder)], environ.get("PATH", ""), os.pathsep)
    if runtime.skels:
        folders = [str(skel.parent) for skel in runtime.skels]
        # `;` also on Linux: that is what the DSP's loader splits at.
        kept = environ.get("ADSP_LIBRARY_PATH", "")
        behind = [] if windows else _dsp_folders(root)
        environ["ADSP_LIBRARY_PATH"] = _joined(folders, ";".join([kept, *behind]), ";")
    if sys.platform == "win32" and str(runtime.folder) not in _cookies:
        _cookies[str(runtime.folder)] = os.add_dll_directory(str(runtime.folder))


def _dsp_folders(root: Path) -> list[str]:
    found = (path for pattern in _DSP_FOLDERS for path in sorted(root.glob(pattern)))
    return [str(path) for path in found if path.is_dir()]


def _joined(first: Sequence[str], rest: str, separator: str) -> str:
    """`first` before `rest`, nothing twice and nothing empty."""
    parts = [*first, *rest.split(separator)]
    return separator.join(dict.fromkeys(part for part in parts if part))
