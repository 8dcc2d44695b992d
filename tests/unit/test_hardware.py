"""Probes: what real systems print, what broken ones do, and never an exception."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npurun_tui.hardware import linux, macos, windows
from npurun_tui.hardware.chips import chip_of
from npurun_tui.hardware.facts import Silent, ask
from npurun_tui.hardware.library import ask_library
from npurun_tui.hardware.probe import probe
from npurun_tui.hardware.usage import CANNOT, NpuUsage, family, npu_use
from tests.support.native import compiled, genie_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX commands")


# --- Windows -----------------------------------------------------------------------------------


def test_a_snapdragon_x_laptop() -> None:
    hardware = windows.read((FIXTURES / "windows_x_elite.json").read_text("utf-8"))
    assert hardware.system.text == "Microsoft Windows 11 Home (build 26100)"
    assert hardware.soc.text == "Snapdragon(R) X 12-core X1E80100 @ 3.40 GHz"
    assert hardware.npu.text == "Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Hexagon(TM) NPU"
    assert (hardware.driver_version.text, hardware.driver_date.text) == (
        "30.0.219.1000",
        "2025-08-14",
    )


def test_a_pc_without_an_npu() -> None:
    hardware = windows.read((FIXTURES / "windows_pc.json").read_text("utf-8"))
    assert hardware.soc.found
    assert (hardware.npu.text, hardware.npu.value) == ("not found", None)
    assert not hardware.driver_version.found


@pytest.mark.parametrize("answer", ["", "null", "[]", "<Objs/>", "[" * 100_000, '{"npu": ["x"]}'])
def test_nonsense_from_powershell_is_said_in_words(answer: str) -> None:
    hardware = windows.read(answer)
    assert not hardware.npu.found
    assert hardware.npu.text


def test_names_cannot_write_to_the_terminal() -> None:
    hardware = windows.read(json.dumps({"npu": "NPU\x1b]0;title\x07\nX", "processor": "a\x1b[2J"}))
    assert "\x1b" not in hardware.npu.text + hardware.soc.text
    assert "\n" not in hardware.npu.text


def test_a_script_reaches_powershell_as_it_is() -> None:
    command = windows.powershell('$x = "a ""b""" | Where-Object { $_ -match \'ü\' }\n')
    assert command[-2] == "-EncodedCommand"
    text = base64.b64decode(command[-1]).decode("utf-16-le")
    assert text == '$x = "a ""b""" | Where-Object { $_ -match \'ü\' }\n'
    assert len(windows.powershell(windows.SCRIPT)[-1]) < 8000  # a command line may have 32,767


@pytest.mark.skipif(sys.platform == "win32", reason="there PowerShell is")
def test_without_powershell_it_could_not_be_asked() -> None:
    hardware = windows.probe()
    assert hardware.npu.text.startswith("could not be asked (powershell")


# --- Linux -------------------------------------------------------------------------------------


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def x1e(root: Path) -> Path:
    return tree(root, json.loads((FIXTURES / "linux_x1e.json").read_text("utf-8")))


def test_a_snapdragon_x_laptop_with_linux(tmp_path: Path) -> None:
    hardware = linux.probe(x1e(tmp_path))
    assert hardware.system.text == "Ubuntu 25.10"
    assert hardware.soc.text == "Lenovo Yoga Slim 7x (qcom,x1e80100)"
    assert hardware.npu.text == "Qualcomm Hexagon (CDSP)"
    assert hardware.driver_version.text == "kernel 6.17.0-8-qcom-x1e"
    assert hardware.driver_date.text == "not told by Linux"
    assert hardware.npu_blocked == ""


def test_a_dsp_that_is_not_running(tmp_path: Path) -> None:
    x1e(tmp_path)
    (tmp_path / "sys/class/remoteproc/remoteproc1/state").write_text("offline\n")
    hardware = linux.probe(tmp_path)
    assert hardware.npu.found
    assert "The DSP is offline" in hardware.npu_blocked
    assert "echo start" in hardware.npu_blocked


def test_the_audio_dsp_is_not_the_npu(tmp_path: Path) -> None:
    x1e(tmp_path)
    (tmp_path / "sys/class/remoteproc/remoteproc0/state").write_text("offline\n")
    assert linux.probe(tmp_path).npu_blocked == ""


def test_a_kernel_without_fastrpc(tmp_path: Path) -> None:
    x1e(tmp_path)
    (tmp_path / "dev/fastrpc-cdsp").unlink()
    assert "modprobe fastrpc" in linux.probe(tmp_path).npu_blocked


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may open everything")
def test_a_device_that_this_user_may_not_open(tmp_path: Path) -> None:
    x1e(tmp_path)
    (tmp_path / "dev/fastrpc-cdsp").chmod(0)
    assert "usermod -aG" in linux.probe(tmp_path).npu_blocked


def test_an_ordinary_pc_with_linux(tmp_path: Path) -> None:
    hardware = linux.probe(
        tree(
            tmp_path,
            {
                "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD Ryzen 7 7840U\n",
                "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
                "sys/class/remoteproc/remoteproc0/name": "adsp\n",
            },
        )
    )
    assert hardware.soc.text == "AMD Ryzen 7 7840U"
    assert not hardware.npu.found


def test_an_empty_root_is_all_not_found(tmp_path: Path) -> None:
    hardware = linux.probe(tmp_path)
    assert {hardware.system.text, hardware.soc.text, hardware.npu.text} == {"not found"}


# --- any ---------------------------------------------------------------------------------------


def test_this_machine_can_be_asked() -> None:
    hardware = probe()
    assert hardware.system.found
    assert hardware.soc.text


@pytest.mark.skipif(sys.platform == "darwin", reason="there sysctl is")
def test_without_sysctl_it_could_not_be_asked() -> None:
    assert "could not be asked" in macos.probe().soc.text


def test_an_unknown_system_has_nothing_to_ask() -> None:
    assert probe("sunos5").system.text == "sunos5"


@posix
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/bin/sleep", "60"), "sleep did not answer in 0 s"),
        (("/bin/sh", "-c", "echo why >&2; exit 3"), "sh: why"),
        (("/bin/false",), "false ended with 1"),
        (("/nowhere/tool",), "tool: No such file"),
    ],
)
def test_a_command_that_fails_is_silent_with_the_reason(
    command: tuple[str, ...], words: str
) -> None:
    with pytest.raises(Silent, match=words):
        ask(command, 0.2)


@pytest.mark.parametrize(
    ("words", "arch"),
    [
        ("Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Hexagon(TM) NPU", "v73"),
        ("Snapdragon(R) X Plus - X1P42100 - Qualcomm(R) Hexagon(TM) NPU", "v73"),
        ("Snapdragon(R) X 12-core X1E80100 @ 3.40 GHz", "v73"),
        ("Lenovo Yoga Slim 7x (qcom,x1e80100)", "v73"),
        ("Snapdragon(R) X2 Elite - X2E94100 - Qualcomm(R) Hexagon(TM) NPU", "v81"),
        ("Snapdragon(R) X2 - X2P42100 - Qualcomm(R) Hexagon(TM) NPU", "v81"),
        ("Snapdragon(R) X2 18-core @ 4.00 GHz", "v81"),
        ("Snapdragon X Elite CRD", "v73"),
        ("Snapdragon X2 Elite CRD", "v81"),
        ("Snapdragon (TM) 8cx Gen 3", "v68"),
        ("AMD Ryzen 7 7840U", None),
        ("Intel(R) Core(TM) Ultra 7", None),
    ],
)
def test_chips_by_their_names(words: str, arch: str | None) -> None:
    chip = chip_of(words)
    assert (chip.arch if chip else None) == arch


# --- how busy the NPU is -----------------------------------------------------------------------

SAMPLE = (FIXTURES / "windows_gpu_engines.json").read_bytes()
ENGINE_PID = 9184


def test_the_npu_is_the_adapter_with_compute_engines_only() -> None:
    assert npu_use(SAMPLE, {ENGINE_PID}) == 27
    assert npu_use(SAMPLE, {1}) == 0  # another process's use is not ours
    assert npu_use(SAMPLE, {ENGINE_PID, 7712}) == 64


def test_without_an_npu_there_is_no_sample() -> None:
    rows = [row for row in json.loads(SAMPLE) if "0x0000D1B2" not in row["Name"]]
    assert npu_use(json.dumps(rows).encode(), {ENGINE_PID}) is None


@pytest.mark.parametrize("line", [b"", b"null", b"[1,null]", b'[{"Name":3}]', b"[" * 100_000])
def test_nonsense_is_no_sample(line: bytes) -> None:
    assert npu_use(line, {1}) is None


def test_a_process_and_what_it_started() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        assert process.pid in family(process.pid)
        assert process.pid in family(os.getpid())
        process.communicate(b"\n")
    assert family(None) == frozenset()
    assert family(process.pid) == {process.pid}  # it has ended


async def test_samples_are_taken_until_stopped() -> None:
    script = (
        "import sys,time\n"
        f"line = {json.dumps(json.dumps(json.loads(SAMPLE)))}\n"
        "while True: print(line, flush=True); time.sleep(0.01)"
    )
    usage = NpuUsage((sys.executable, "-c", script))
    taken: list[object] = []
    fifth = asyncio.Event()

    def pids() -> set[int]:
        taken.append(None)
        if len(taken) == 5:
            fifth.set()
        return {ENGINE_PID}

    await usage.start(pids)
    assert taken  # `start` waits until samples come
    await fifth.wait()
    await usage.stop()
    assert len(usage.samples) >= 3
    assert set(usage.samples) == {27.0}
    assert usage.reason == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/nowhere/powershell",), "could not be sampled (No such file"),
        ((sys.executable, "-c", "print('x')"), "the system's counters show no NPU"),
    ],
)
async def test_what_cannot_be_sampled_is_said(command: tuple[str, ...], words: str) -> None:
    usage = NpuUsage(command)
    await usage.start(lambda: {1})
    await usage.stop()
    assert words in usage.reason
    assert usage.samples == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has counters")
async def test_here_it_cannot_be_sampled() -> None:
    usage = NpuUsage()
    await usage.start(lambda: {1})
    await usage.stop()
    assert (usage.samples, usage.reason) == ([], CANNOT)


# --- asking a library --------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "is not a Genie library"),
        (
            "__attribute__((constructor)) static void die(void) { __builtin_trap(); }",
            "ended the process",
        ),
        (
            "#include <unistd.h>\n__attribute__((constructor)) static void hang(void) { pause(); }",
            "in 2 s",
        ),
        (
            "#include <unistd.h>\n__attribute__((constructor)) static void end(void) "
            '{ write(2, "no licence\\n", 11); _exit(7); }',
            "no licence",
        ),
    ],
)
def test_a_library_that_misbehaves_is_a_sentence(tmp_path: Path, body: str, words: str) -> None:
    answer = ask_library(compiled(tmp_path, body), timeout=2)
    assert answer.version is None
    assert words in answer.error
    assert "\n" not in answer.error


@posix
def test_a_library_says_its_version_and_what_it_prints_is_kept_out(tmp_path: Path) -> None:
    answer = ask_library(compiled(tmp_path, genie_of(1, 18, 4)))
    assert answer.version == (1, 18, 4)
    assert answer.words == "1.18.4"
    assert "GenieDialog_setGrammar" in answer.missing
