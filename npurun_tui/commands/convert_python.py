"""Another Python than this program's: what it is, and running a module in it with its words passed on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.errors import NpurunError
from npurun_tui.text import one_line, printable

VERSIONS: Final = ((3, 10), (3, 11))
"""What qai_hub_models and its PyTorch run on."""

_ASK: Final = (
    "import importlib.util as u, json, sys, sysconfig; "
    "print(json.dumps([sys.version_info[:3], sysconfig.get_platform(), "
    "u.find_spec('qai_hub_models') is not None]))"
)
_CANDIDATES: Final = (
    ("python3.11",),
    ("python3.10",),
    ("python3",),
    ("py", "-3.11"),
    ("py", "-3.10"),
    ("py",),
    ("python",),
)
_ANSWER_TIME: Final = 60
"""Seconds; emulated on ARM64, a first start takes ten."""
_LEAVE_TIME: Final = 10
_X86_64: Final = ("x86_64", "amd64")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, as it said itself. `words` begin a sentence."""

    command: tuple[str, ...]
    suited: bool
    has_models: bool
    words: str


def find_interpreter(given: str = "") -> Interpreter:
    """The Python `given`, else the best on PATH: one that is suited and has qai_hub_models, else one that is suited.

    Blocking: each one is run to ask it.
    """
    if given:
        return _ask((given,))
    found: list[Interpreter] = []
    for command in _CANDIDATES:
        if shutil.which(command[0]):
            found.append(_ask(command))
            if found[-1].suited and found[-1].has_models:
                return found[-1]
    if not found:
        return Interpreter((), False, False, "no Python was found on PATH")
    return next((one for one in found if one.suited), found[0])


def _ask(command: tuple[str, ...]) -> Interpreter:
    shown = one_line(" ".join(command), 200)
    try:
        done = subprocess.run(
            [*command, "-c", _ASK],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIME,
            check=True,
        )
        version, platform, has_models = json.loads(done.stdout)
        known = (int(version[0]), int(version[1])) in VERSIONS
        number = ".".join(str(int(part)) for part in version)
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return Interpreter(command, False, False, f"{shown} is no Python that can be run")
    suited = known and str(platform).lower().replace("-", "_").endswith(_X86_64)
    needed = "" if suited else ", and 3.10 or 3.11 for x86-64 is needed"
    words = f"{shown} is Python {number} for {one_line(str(platform), 40)}{needed}"
    return Interpreter(command, suited, bool(has_models), words)


def run_python(
    interpreter: Interpreter, arguments: Sequence[str], *, folder: Path, secret: str
) -> int:
    """Run it in `folder`, its words going to stderr with `secret` blotted out; returns its exit status.

    However this call ends, Ctrl+C included, the process and all that it started have ended too.

    Raises:
        NpurunError: the system refuses to start it.
    """
    try:
        child = subprocess.Popen(
            [*interpreter.command, *arguments],
            cwd=folder,
            # else the export dies of its own check marks on a Windows console (code page 1252)
            env={
                **os.environ,
                "PYTHONUTF8": "1",
                "PYTHONIOENCODING": "utf-8",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            **_apart(),
        )
    except OSError as error:
        raise NpurunError(
            f"{one_line(interpreter.command[0], 200)} could not be started: {error}."
        ) from error
    with child:
        try:
            assert child.stdout is not None  # noqa: S101 - for the type checker
            for line in child.stdout:
                _pass_on(line, secret)
            return child.wait()
        except BaseException:
            _end(child)
            raise


def _apart() -> dict[str, Any]:
    """A group of its own, so that Ctrl+C reaches this program alone, which then ends the child in good order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _pass_on(line: str, secret: str) -> None:
    if secret:
        line = line.replace(secret, "***")
    sys.stderr.write(printable(line))
    sys.stderr.flush()


def _end(child: subprocess.Popen[str]) -> None:
    """End the child and what it started: politely, then for good."""
    import psutil

    processes: list[psutil.Process] = []
    with suppress(psutil.Error):
        root = psutil.Process(child.pid)
        processes = [root, *root.children(recursive=True)]
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_LEAVE_TIME)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
