"""Finding Genie's runtime on this machine without being told: what is there, in which order, and what it lacks.

The order: NPURUN_GENIE_LIB, the SDK that QNN_SDK_ROOT names, SDKs in the usual folders (the newest first), and the
onnxruntime-qnn wheel that this program depends on where there can be an NPU. Nothing is loaded or imported here, so
that a broken library cannot break the search; only the standard library is needed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from npurun_tui.engine.genie import layout
from npurun_tui.engine.genie.binary import ARM64, built_for
from npurun_tui.engine.genie.machine import NATIVE_PYTHON, Machine, this_machine
from npurun_tui.errors import EngineUnavailable
from npurun_tui.files import from_home
from npurun_tui.text import one_line

EXPLICIT: Final = "NPURUN_GENIE_LIB"
NAMED_SDK: Final = "QAIRT SDK (QNN_SDK_ROOT)"
USUAL_SDK: Final = "QAIRT SDK"
WHEEL: Final = "onnxruntime-qnn wheel"

REINSTALL: Final = "`pip install --force-reinstall onnxruntime-qnn` puts it there."


@dataclass(frozen=True, slots=True)
class Runtime:
    """One Genie runtime that this Python can open."""

    library: Path
    """Genie.dll or libGenie.so, absolute."""
    source: str
    """What led to it, in words."""
    folder: Path
    """Where the library lies; QnnSystem and the backend belong there too."""
    archs: tuple[str, ...]
    """The Hexagon architectures that it can drive (`v73`): stub and skel are both there."""
    skels: tuple[Path, ...]
    """The skel of each of `archs`."""
    qairt: str
    """The QAIRT release; empty where nothing there says it."""
    problems: tuple[str, ...] = ()
    """What is missing, a sentence each, with its mend."""

    @property
    def arch(self) -> str:
        """The Hexagon architecture where only one can be meant; empty where the runtime chooses by the device."""
        return self.archs[0] if len(self.archs) == 1 else ""

    @property
    def skel(self) -> Path | None:
        """The skel of `arch`."""
        return self.skels[0] if len(self.skels) == 1 else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that was looked at, for `doctor`."""

    source: str
    place: str
    runtime: Runtime | None
    reason: str = ""
    """Why there is no runtime in it that can be used; a sentence."""
    wrong_architecture: bool = False


def find_runtime(
    environ: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
    usual: Sequence[Path] | None = None,
) -> Runtime:
    """The runtime to use.

    `usual` are the folders in which SDKs are looked for; None is those of this system.

    Raises:
        EngineUnavailable: there is none that this Python can open; the text says why and what to do.
    """
    machine = machine or this_machine()
    looked: list[Candidate] = []
    for candidate in _look(environ, machine, usual):
        if candidate.runtime is not None:
            return candidate.runtime
        if candidate.source == EXPLICIT:
            # What a person names is used or refused; another library instead would be a riddle.
            raise EngineUnavailable(
                candidate.reason,
                mend="Set NPURUN_GENIE_LIB to Genie.dll or libGenie.so, or unset it.",
            )
        looked.append(candidate)
    raise nothing_found(machine, looked)


def candidates(
    environ: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
    usual: Sequence[Path] | None = None,
) -> tuple[Candidate, ...]:
    """Every place that was looked at, in the order of precedence: the first with a runtime is what is used."""
    return tuple(_look(environ, machine or this_machine(), usual))


def nothing_found(machine: Machine, looked: Sequence[Candidate]) -> EngineUnavailable:
    """Why no place has a runtime that this Python can open."""
    wrong = next((candidate for candidate in looked if candidate.wrong_architecture), None)
    if machine.emulated:
        return EngineUnavailable(
            f"This Python is for {machine.python} and runs emulated: the NPU's libraries need a native "
            f"{machine.native} Python.",
            mend=f"Install one: {NATIVE_PYTHON}",
        )
    if wrong is not None:
        return EngineUnavailable(wrong.reason, mend="Use a Python for the library's processor.")
    if machine.python == ARM64 and machine.system in {"win32", "linux"}:
        return EngineUnavailable(
            "There is no Genie runtime on this machine.",
            mend="`pip install onnxruntime-qnn` brings it (Qualcomm's own licence covers it).",
        )
    return EngineUnavailable(
        f"There is no Genie runtime on this machine, and none can be installed: it drives the NPU of Snapdragon X, "
        f"and this Python is for {machine.words}.",
        mend="Choose a model for the CPU; `npurun-tui list` shows which is which.",
    )


# --- the places --------------------------------------------------------------------------------


def _look(
    environ: Mapping[str, str], machine: Machine, usual: Sequence[Path] | None
) -> Iterator[Candidate]:
    if explicit := environ.get("NPURUN_GENIE_LIB"):
        path = from_home(explicit).absolute()
        file = path / layout.library_name(machine.system) if path.is_dir() else path
        yield _examine(file, EXPLICIT, machine)
    if root := environ.get("QNN_SDK_ROOT"):
        yield _sdk(from_home(root).absolute(), NAMED_SDK, machine)
    places = usual_folders(machine.system) if usual is None else usual
    for root_folder in sdk_roots(places):
        yield _sdk(root_folder, USUAL_SDK, machine)
    if (folder := wheel_folder()) is not None:
        yield _examine(folder / layout.library_name(machine.system), WHEEL, machine)
    else:
        yield Candidate(WHEEL, "site-packages", None, "It is not installed.")


def usual_folders(system: str) -> tuple[Path, ...]:
    """Where SDKs are installed to; each may hold many versions."""
    if system == "win32":
        return (Path("C:/Qualcomm/AIStack/QAIRT"), Path("C:/Qualcomm/AIStack"))
    if system == "linux":
        return (Path("/opt/qcom/aistack/qairt"), Path("/opt/qairt"), Path.home() / "qairt")
    return ()


def sdk_roots(places: Sequence[Path]) -> list[Path]:
    """The SDKs in `places` (`2.45.0.260326`, `QAIRT_2.45`), the newest first."""
    found: set[Path] = set()
    for place in places:
        try:
            found.update(entry for entry in place.iterdir() if (entry / "lib").is_dir())
        except OSError:
            continue
    return sorted(found, key=lambda folder: (layout.numeric(folder), folder.name), reverse=True)


def wheel_folder() -> Path | None:
    """The folder of the onnxruntime-qnn wheel. It is not imported: that would load the whole of ONNX Runtime."""
    try:
        spec = importlib.util.find_spec("onnxruntime_qnn")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).absolute()


def _sdk(root: Path, source: str, machine: Machine) -> Candidate:
    name = layout.library_name(machine.system)
    for folder in layout.sdk_libraries(root, machine, ubuntu=layout.like_ubuntu()):
        if (folder / name).is_file():
            return _examine(folder / name, source, machine)
    return Candidate(
        source,
        str(root),
        None,
        f"{_shown(root)} holds no {name} for {machine.python} on this system.",
    )


# --- one place ---------------------------------------------------------------------------------


def _examine(library: Path, source: str, machine: Machine) -> Candidate:
    place = str(library.parent)
    if not library.is_file():
        return Candidate(source, place, None, f"There is no library {_shown(library)}.")
    try:
        built = built_for(library)
    except OSError as error:
        reason = f"{_shown(library)} cannot be read: {error.strerror or error}."
        return Candidate(source, place, None, reason)
    if not built:
        return Candidate(source, place, None, f"{_shown(library)} is not a shared library.")
    if built != machine.python:
        reason = f"{_shown(library)} is for {built}, this Python is {machine.words}."
        return Candidate(source, place, None, reason, wrong_architecture=True)
    skels = layout.find_skels(library.parent)
    runtime = Runtime(
        library=library,
        source=source,
        folder=library.parent,
        archs=skels.whole,
        skels=skels.files,
        qairt=layout.qairt_version(library.parent),
        problems=tuple(_problems(library, skels, source, machine)),
    )
    return Candidate(source, place, runtime)


def _problems(library: Path, skels: layout.Skels, source: str, machine: Machine) -> Iterator[str]:
    """What the runtime lacks to drive an NPU. Where there can be none, a library needs nothing beside it."""
    if machine.python != ARM64 or machine.system == "darwin":
        return
    mend = REINSTALL if source == WHEEL else "Unpack the QAIRT SDK again, whole."
    for name in layout.beside(machine.system):
        if not (library.parent / name).is_file():
            yield f"{name} is missing beside {library.name}: no model for the NPU will load. {mend}"
    if not skels.whole:
        what = ", ".join(skels.halves)
        seen = f"only the stub of Hexagon {what} is there" if what else "no stub is there"
        yield f"The NPU cannot be driven: {seen}, and stub and skel must both be. {mend}"


def _shown(path: Path) -> str:
    return one_line(str(path), 200)
