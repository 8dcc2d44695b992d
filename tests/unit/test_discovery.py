"""Finding Genie's runtime: real file names of the SDK and the wheel, in the order of precedence, and what is said."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui.engine.genie import discovery, environment, layout
from npurun_tui.engine.genie.binary import built_for
from npurun_tui.engine.genie.machine import Machine, this_machine
from npurun_tui.errors import EngineUnavailable

LINUX = Machine("linux", "ARM64", "ARM64")
WINDOWS = Machine("win32", "ARM64", "ARM64")
PC = Machine("linux", "x86-64", "x86-64")
EMULATED = Machine("win32", "x86-64", "ARM64")
ELF_ARM64 = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + (183).to_bytes(2, "little") + bytes(44)
ELF_X86 = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + (62).to_bytes(2, "little") + bytes(44)
PE_ARM64 = b"MZ".ljust(0x3C, b"\0") + (0x80).to_bytes(4, "little") + bytes(0x40) + b"PE\0\0\x64\xaa"
NAMES = json.loads((Path(__file__).parents[1] / "fixtures" / "runtime_files.json").read_text())


@pytest.fixture(autouse=True)
def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "wheel_folder", lambda: None)


def sdk(root: Path, *, machine: Machine = LINUX, archs: str = "v73", version: str = "") -> Path:
    """An SDK with the folders and file names of the real one."""
    windows = machine is WINDOWS
    name = "aarch64-windows-msvc" if windows else "aarch64-oe-linux-gcc11.2"
    libraries = root / "lib" / name
    libraries.mkdir(parents=True)
    (libraries / layout.library_name(machine.system)).write_bytes(
        PE_ARM64 if windows else ELF_ARM64
    )
    for other in layout.beside(machine.system):
        (libraries / other).write_bytes(b"")
    for arch in archs.split():
        stub = "QnnHtp{}Stub.dll" if windows else "libQnnHtp{}Stub.so"
        (libraries / stub.format(arch.upper())).write_bytes(b"")
        skels = root / "lib" / f"hexagon-{arch}" / "unsigned"
        skels.mkdir(parents=True)
        (skels / f"libQnnHtp{arch.upper()}Skel.so").write_bytes(b"")
    if version:
        (root / "sdk.yaml").write_text(f"name: qairt\nversion: {version}\n")
    return libraries


def wheel(site: Path, platform: str, version: str, *, note: str = "") -> Path:
    folder = site / "onnxruntime_qnn"
    folder.mkdir(parents=True)
    for name in NAMES[platform]:
        content = b"raise AssertionError('imported')" if name.endswith(".py") else b""
        (folder / name).write_bytes(content)
    library = layout.library_name("win32" if platform == "win_arm64" else "linux")
    (folder / library).write_bytes(PE_ARM64 if platform == "win_arm64" else ELF_ARM64)
    note_file = folder / "build_and_package_info.py"
    note_file.write_text(
        f"package_name = 'onnxruntime-qnn'\nqnn_version = '{note}'\n" if note else ""
    )
    info = site / f"onnxruntime_qnn-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: onnxruntime-qnn\nVersion: {version}\n"
    )
    return folder


# --- precedence --------------------------------------------------------------------------------


def test_the_order_of_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tmp_path / "usual"
    sdk(usual / "2.9.0", version="2.9.0.1")
    newest = sdk(usual / "2.45.0", version="2.45.0.2")
    named = sdk(tmp_path / "named", version="2.50.40")
    explicit = sdk(tmp_path / "explicit")
    package = wheel(tmp_path / "site", "manylinux_2_34_aarch64", "2.7.0")
    monkeypatch.setattr(discovery, "wheel_folder", lambda: package)
    environ = {"NPURUN_GENIE_LIB": str(explicit), "QNN_SDK_ROOT": str(tmp_path / "named")}
    found = []
    for _ in range(2):
        found.append(discovery.find_runtime(environ, LINUX, [usual]))
        environ.pop(next(iter(environ)))
    found.append(discovery.find_runtime({}, LINUX, [usual]))
    found.append(discovery.find_runtime({}, LINUX, []))
    assert [runtime.folder for runtime in found] == [explicit, named, newest, package]
    assert [runtime.source for runtime in found] == [
        "NPURUN_GENIE_LIB",
        "QAIRT SDK (QNN_SDK_ROOT)",
        "QAIRT SDK",
        "onnxruntime-qnn wheel",
    ]
    assert [runtime.qairt for runtime in found] == ["", "2.50.40", "2.45.0.2", "2.51.0"]


def test_a_stale_sdk_root_is_passed_over_and_reported(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    folder = sdk(usual / "QAIRT_2.48.40")
    environ = {"QNN_SDK_ROOT": str(tmp_path / "gone")}
    runtime = discovery.find_runtime(environ, LINUX, [usual])
    assert (runtime.folder, runtime.qairt) == (folder, "2.48.40")
    first = discovery.candidates(environ, LINUX, [usual])[0]
    assert first.runtime is None
    assert "holds no libGenie.so for ARM64" in first.reason


def test_what_a_person_names_is_used_or_refused(tmp_path: Path) -> None:
    sdk(tmp_path / "2.45.0")
    environ = {"NPURUN_GENIE_LIB": str(tmp_path / "nowhere" / "libGenie.so")}
    with pytest.raises(EngineUnavailable, match=r"There is no library .*nowhere") as caught:
        discovery.find_runtime(environ, LINUX, [tmp_path])
    assert "NPURUN_GENIE_LIB" in caught.value.mend


# --- what belongs together ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "machine", "archs"),
    [
        ("win_arm64", WINDOWS, ("v68", "v73", "v81")),
        ("manylinux_2_34_aarch64", LINUX, ("v68", "v69", "v73", "v75", "v79", "v81")),
    ],
)
def test_the_wheel_as_it_is_published(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    machine: Machine,
    archs: tuple[str, ...],
) -> None:
    package = wheel(tmp_path, platform, "2.7.0")
    monkeypatch.setattr(discovery, "wheel_folder", lambda: package)
    runtime = discovery.find_runtime({}, machine, [])
    assert runtime.archs == archs
    assert runtime.problems == ()
    assert {skel.parent for skel in runtime.skels} == {package}
    assert runtime.arch == ""  # the runtime asks the device; nothing here guesses


def test_the_wheel_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = wheel(tmp_path, "win_arm64", "2.7.0")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert discovery.wheel_folder() == package
    assert "onnxruntime_qnn" not in sys.modules


@pytest.mark.parametrize(
    ("version", "note", "qairt"),
    [
        ("2.3.0", "", "2.47.0"),
        ("2.4.0", "", "2.48.40"),
        ("2.7.0", "", "2.51.0"),
        ("2.9.0", "2.60.0", "2.60.0"),
        ("9.0.0", "", ""),
    ],
)
def test_the_wheel_says_its_release(tmp_path: Path, version: str, note: str, qairt: str) -> None:
    assert layout.qairt_version(wheel(tmp_path, "win_arm64", version, note=note)) == qairt


@pytest.mark.parametrize("machine", [LINUX, WINDOWS])
def test_an_architecture_needs_stub_and_skel(tmp_path: Path, machine: Machine) -> None:
    folder = sdk(tmp_path / "2.45.0", machine=machine, archs="v73 v81")
    (skel,) = tmp_path.glob("**/libQnnHtpV81Skel.so")
    both = discovery.find_runtime({}, machine, [tmp_path])
    assert (both.archs, both.arch, both.skel) == (("v73", "v81"), "", None)
    skel.unlink()
    runtime = discovery.find_runtime({}, machine, [tmp_path])
    assert (runtime.folder, runtime.archs, runtime.arch) == (folder, ("v73",), "v73")
    assert runtime.skel == tmp_path / "2.45.0/lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so"
    runtime.skel.unlink()
    (problem,) = discovery.find_runtime({}, machine, [tmp_path]).problems
    assert "only the stub of Hexagon v73, v81 is there" in problem


def test_what_is_missing_beside_genie_is_named(tmp_path: Path) -> None:
    folder = sdk(tmp_path / "2.45.0")
    (folder / "libQnnSystem.so").unlink()
    (problem,) = discovery.find_runtime({}, LINUX, [tmp_path]).problems
    assert problem.startswith("libQnnSystem.so is missing beside libGenie.so")


def test_a_library_for_the_cpu_needs_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "libGenie.so").write_bytes(ELF_X86)
    runtime = discovery.find_runtime({"NPURUN_GENIE_LIB": str(tmp_path)}, PC, [])
    assert runtime.problems == ()


# --- processors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ELF_ARM64, "ARM64"),
        (ELF_X86, "x86-64"),
        (PE_ARM64, "ARM64"),
        (PE_ARM64[:-2] + b"\x64\x86", "x86-64"),
        (b"\xcf\xfa\xed\xfe\x0c\0\0\x01" + bytes(56), "ARM64"),
        (ELF_ARM64[:18] + (164).to_bytes(2, "little") + bytes(44), "the Hexagon DSP"),
        (ELF_ARM64[:5] + b"\x02" + ELF_ARM64[6:18] + (183).to_bytes(2, "big") + bytes(44), "ARM64"),
        (ELF_ARM64[:20], ""),
        (PE_ARM64[:-3], ""),
        (b"MZ" + b"\xff" * 62, ""),
        (b"<html>".ljust(64), ""),
        (b"", ""),
    ],
)
def test_the_header_says_the_processor(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "library"
    file.write_bytes(content)
    assert built_for(file) == words


def test_pythons_own_header_is_read() -> None:
    if sys.platform != "win32":
        assert built_for(Path(sys.executable).resolve()) == this_machine().python


def test_the_wrong_processor_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    sdk(tmp_path / "2.45.0")
    file = tmp_path / "2.45.0/lib/aarch64-oe-linux-gcc11.2/libGenie.so"
    with pytest.raises(EngineUnavailable, match="is for ARM64, this Python is x86-64") as caught:
        discovery.find_runtime({"NPURUN_GENIE_LIB": str(file)}, PC, [])
    assert "\n" not in str(caught.value)


def test_emulated_python_is_told_what_to_install() -> None:
    with pytest.raises(EngineUnavailable, match="emulated: the NPU's libraries need") as caught:
        discovery.find_runtime({}, EMULATED, [])
    assert "winget install Python.Python.3.12 --architecture arm64" in caught.value.mend


@pytest.mark.parametrize(
    ("machine", "mend"), [(LINUX, "pip install onnxruntime-qnn"), (PC, "model for the CPU")]
)
def test_nothing_found_has_a_mend(machine: Machine, mend: str) -> None:
    with pytest.raises(EngineUnavailable, match="There is no Genie runtime") as caught:
        discovery.find_runtime({}, machine, [])
    assert mend in caught.value.mend


def test_a_text_file_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "libGenie.so").write_text("\x1b]0;x\x07version https://git-lfs")
    with pytest.raises(EngineUnavailable, match="is not a shared library"):
        discovery.find_runtime({"NPURUN_GENIE_LIB": str(tmp_path)}, LINUX, [])


# --- the environment ---------------------------------------------------------------------------


def test_the_dsp_path_keeps_what_is_there_and_is_set_once(tmp_path: Path) -> None:
    sdk(tmp_path / "2.45.0", archs="v73 v81")
    (tmp_path / "device/usr/lib/rfsa/adsp").mkdir(parents=True)
    (tmp_path / "device/dsp/image/dsp/cdsp1").mkdir(parents=True)
    runtime = discovery.find_runtime({}, LINUX, [tmp_path])
    environ = {"ADSP_LIBRARY_PATH": "/mine", "PATH": "/bin"}
    for _ in range(2):
        environment.prepare(runtime, environ, tmp_path / "device", "linux")
    hexagon = tmp_path / "2.45.0/lib"
    assert environ["PATH"] == "/bin"
    assert environ["ADSP_LIBRARY_PATH"].split(";") == [
        f"{hexagon}/hexagon-v73/unsigned",
        f"{hexagon}/hexagon-v81/unsigned",
        "/mine",
        f"{tmp_path}/device/usr/lib/rfsa/adsp",
        f"{tmp_path}/device/dsp/image/dsp/cdsp1",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the separator is the running system's")
def test_windows_also_searches_path(tmp_path: Path) -> None:
    folder = sdk(tmp_path / "2.45.0", machine=WINDOWS)
    runtime = discovery.find_runtime({}, WINDOWS, [tmp_path])
    environ = {"PATH": "/bin"}
    for _ in range(2):
        environment.prepare(runtime, environ, tmp_path, "win32")
    assert environ["PATH"] == f"{folder}:/bin"
    assert environ["ADSP_LIBRARY_PATH"] == str(tmp_path / "2.45.0/lib/hexagon-v73/unsigned")


def test_the_search_needs_the_standard_library_only() -> None:
    script = (
        "import sys\n"
        "from npurun_tui.engine.genie import discovery\n"
        "discovery.candidates({}, usual=[])\n"
        "print([n for n in ('cffi', 'psutil', 'httpx', 'onnxruntime_qnn') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
