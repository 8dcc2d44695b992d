"""Another Python than this program's: what it is, and running a module in it with its words passed on."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.errors import NpurunError
from npurun_tui.text import one_line, printable

VERSIONS: Final = ((3, 10), (3, 11), (3, 12), (3, 13))
"""What qai_hub_models asks for, in its releases 0.45 to 0.65."""

_ASK: Final = """
import sys
sys.path[:] = [path for path in sys.path if path]  # the folder that the user stands in is no place for modules
import importlib.metadata, importlib.util, json, os, sysconfig
spec = importlib.util.find_spec("qai_hub_models")
places = list(spec.submodule_search_locations or ()) if spec else []
def has(*path):
    return any(os.path.isfile(os.path.join(place, *path)) for place in places)
try:
    release = importlib.metadata.version("qai_hub_models")
except importlib.metadata.PackageNotFoundError:
    release = ""
print(json.dumps({
    "version": sys.version_info[:3],
    "platform": sysconfig.get_platform(),
    "package": spec is not None,
    "release": release,
    "recipe": has("models", sys.argv[1], "export.py"),
    "command": has("cli", "dispatch.py"),
}))
"""
_CANDIDATES: Final = (
    ("python3.11",),
    ("python3.12",),
    ("python3.10",),
    ("python3.13",),
    ("python3",),
    ("py", "-3.11"),
    ("py", "-3.12"),
    ("py", "-3.10"),
    ("py", "-3.13"),
    ("py",),
    ("python",),
)
_ANSWER_TIME: Final = 60
"""Seconds; emulated on ARM64, a first start takes ten."""
_HELP_TIME: Final = 300
"""Seconds for a `--help` that imports PyTorch first, emulated."""
_LEAVE_TIME: Final = 10
_STEP: Final = 10.0
"""Seconds between two states of a progress bar that are shown where no terminal draws it in place."""
_X86_64: Final = ("x86_64", "amd64")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, as it said itself. `words` begin a sentence."""

    command: tuple[str, ...]
    suited: bool
    has_models: bool
    words: str
    release: str = ""
    """Of qai_hub_models; "" where it is not known."""
    has_recipe: bool = False
    """Its qai_hub_models has an export of the model that was asked about."""
    has_command: bool = False
    """Its qai_hub_models is used by a command for all models (since 0.60)."""


def find_interpreter(recipe: str, given: str = "") -> Interpreter:
    """The Python `given`, else the best on PATH: one that is suited and has qai_hub_models, else one that is suited.

    `recipe` is the package's name for the model that it shall export. Blocking: each one is run to ask it.
    """
    if given:
        return _ask((given,), recipe)
    found: list[Interpreter] = []
    for command in _CANDIDATES:
        if shutil.which(command[0]):
            found.append(_ask(command, recipe))
            if found[-1].suited and found[-1].has_models:
                return found[-1]
    if not found:
        return Interpreter((), False, False, "no Python was found on PATH")
    return next((one for one in found if one.suited), found[0])


def _ask(command: tuple[str, ...], recipe: str) -> Interpreter:
    shown = one_line(" ".join(command), 200)
    none = Interpreter(command, False, False, f"{shown} is no Python that can be run")
    # A text all the while: pathlib takes the dot off `./python`, which would then be looked for on PATH.
    found = shutil.which(os.path.expanduser(command[0]))  # noqa: PTH111
    if found is None:
        return none
    # Absolute, as the export runs in another folder; links are kept, for they are what makes a virtual environment.
    command = (os.path.abspath(found), *command[1:])  # noqa: PTH100 - pathlib's leaves `..` in
    try:
        done = subprocess.run(
            [*command, "-c", _ASK, recipe],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIME,
            check=True,
        )
        said = json.loads(done.stdout)
        version, platform = said["version"], str(said["platform"])
        known = (int(version[0]), int(version[1])) in VERSIONS
        number = ".".join(str(int(part)) for part in version)
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return none
    suited = known and platform.lower().replace("-", "_").endswith(_X86_64)
    needed = "" if suited else ", and 3.10 to 3.13 for x86-64 is needed"
    return Interpreter(
        command,
        suited,
        bool(said["package"]),
        f"{shown} is Python {number} for {one_line(platform, 40)}{needed}",
        one_line(str(said["release"]), 40),
        bool(said["recipe"]),
        bool(said["command"]),
    )


def ask_python(interpreter: Interpreter, arguments: Sequence[str]) -> tuple[int, str]:
    """`(exit status, what it wrote)` of a short run; -1 where it did not end. Blocks for minutes at most."""
    try:
        # In an empty folder: Python would look for modules in the one that the user stands in.
        with tempfile.TemporaryDirectory() as nowhere:
            done = subprocess.run(
                [*interpreter.command, *arguments],
                cwd=nowhere,
                env={**os.environ, **_UTF8},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_HELP_TIME,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {_HELP_TIME} seconds"
    except OSError as error:
        return -1, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


_UTF8: Final = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
"""Else the package dies of its own check marks on a Windows console (code page 1252)."""


def run_python(
    interpreter: Interpreter,
    arguments: Sequence[str],
    *,
    folder: Path,
    secret: str,
    more: Mapping[str, str],
) -> int:
    """Run it in `folder` with `more` in its environment; returns its exit status. Its words go to stderr, with `secret`
    blotted out.

    However this call ends, Ctrl+C included, the process and all that it started have ended too.

    Raises:
        NpurunError: the system refuses to start it.
    """
    try:
        child = subprocess.Popen(
            [*interpreter.command, *arguments],
            cwd=folder,
            env={**os.environ, **_UTF8, "PYTHONUNBUFFERED": "1", **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **_apart(),
        )
    except OSError as error:
        raise NpurunError(
            f"{one_line(interpreter.command[0], 200)} could not be started: {error}."
        ) from error
    with child:
        try:
            assert child.stdout is not None  # noqa: S101 - for the type checker
            words = _Words(secret)
            # Line ends as they are: a progress bar draws over itself with a carriage return.
            with io.TextIOWrapper(child.stdout, "utf-8", "replace", newline="") as lines:
                for line in lines:
                    words.pass_on(line)
            return child.wait()
        except BaseException:
            _end(child)
            raise
        finally:
            _end_group(child.pid)


def _apart() -> dict[str, Any]:
    """A group of its own, so that Ctrl+C reaches this program alone, which then ends the child in good order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class _Words:
    """What the child writes, passed on to stderr."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._drawn = 0.0
        """When a progress bar was last passed on."""

    def pass_on(self, line: str) -> None:
        """Write a line, or one state of a progress bar, which ends with a carriage return."""
        if self._secret:
            line = line.replace(self._secret, "***")
        text, end = line.rstrip("\r\n"), "\n"
        if line.endswith("\r"):
            if sys.stderr.isatty():
                end = "\r"
            elif not text.strip() or time.monotonic() - self._drawn < _STEP:
                return
            self._drawn = time.monotonic()
        sys.stderr.write(printable(text) + end)
        sys.stderr.flush()


def _end_group(group: int) -> None:
    """End what the child left behind, however long ago it let go of it (Windows has no such groups)."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


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
