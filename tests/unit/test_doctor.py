"""`doctor`: every part of a machine, healthy and not, and the three proofs."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.bench.energy.here import Told
from npurun_tui.commands.examination import NO_NPU, examine
from npurun_tui.commands.findings import Finding, Section, Sign, write_sections
from npurun_tui.commands.measurable import measurable
from npurun_tui.commands.proving import (
    PROVEN,
    Run,
    billions,
    comparable,
    rate_check,
    usage_check,
    verdict,
)
from npurun_tui.engine.genie import discovery
from npurun_tui.errors import EngineUnavailable
from npurun_tui.hardware import linux, windows
from npurun_tui.hardware.chips import Chip, chip_of
from npurun_tui.hardware.facts import Fact
from npurun_tui.hardware.inventory import Inventory
from npurun_tui.hardware.library import Answer
from npurun_tui.hardware.summary import forget, runtime_summary
from npurun_tui.hardware.target import Check, Target, read_target, target_check
from npurun_tui.models.manifest import Files, Manifest
from npurun_tui.models.store import ModelStore
from tests.support.abi_library import built_library
from tests.support.genie_bundle import bundle_of
from tests.support.native import compiled, genie_of
from tests.unit.test_discovery import EMULATED, WINDOWS, sdk
from tests.unit.test_version_command import posix, program

FIXTURES = Path(__file__).parents[1] / "fixtures"
LAPTOP = windows.read((FIXTURES / "windows_x_elite.json").read_text("utf-8"))


def laptop(root: Path, version: tuple[int, int, int] = (1, 20, 0)) -> Inventory:
    """A Snapdragon X laptop with a whole SDK."""
    sdk(root / "2.50.40", machine=WINDOWS, version="2.50.40")
    looked = discovery.candidates({}, WINDOWS, [root])
    return Inventory(
        WINDOWS, LAPTOP, looked, looked[0].runtime, None, Answer(version), Fact("2026.10.11549")
    )


def found(sections: tuple[Section, ...]) -> dict[str, Finding]:
    return {f"{s.key}.{f.key}": f for s in sections for f in s.findings}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


# --- the sections ------------------------------------------------------------------------------


def test_a_whole_laptop_has_no_fault(tmp_path: Path, store: ModelStore) -> None:
    lines = found(examine(laptop(tmp_path), store))
    assert not [key for key, line in lines.items() if line.sign is Sign.FAULT]
    assert "Hexagon v73" in lines["npu.device"].words
    assert lines["npu.driver"].words == "30.0.219.1000  (2025-08-14)"
    assert lines["runtime.qairt"].words == "2.50.40"
    assert lines["runtime.genie"].words == "1.20.0"
    assert "v73 (stub and skel)" in lines["runtime.hexagon"].words


@pytest.mark.parametrize(("version", "wedges"), [((1, 19, 0), False), ((1, 20, 0), True)])
def test_the_defects_are_those_of_the_release(
    tmp_path: Path, store: ModelStore, version: tuple[int, int, int], wedges: bool
) -> None:
    lines = found(examine(laptop(tmp_path, version), store))
    assert ("defects.D1" in lines) is wedges
    assert lines["defects.X3"].mend


def test_an_old_driver_is_noticed(tmp_path: Path, store: ModelStore) -> None:
    inventory = laptop(tmp_path)
    old = replace(LAPTOP, driver_version=Fact("30.0.31.250"))
    line = found(examine(replace(inventory, hardware=old), store))["npu.driver"]
    assert line.sign is Sign.NOTICE
    assert "Windows Update" in line.mend


def test_a_missing_library_is_named_with_its_mend(tmp_path: Path, store: ModelStore) -> None:
    folder = sdk(tmp_path / "2.50.40", machine=WINDOWS)
    (folder / "QnnSystem.dll").unlink()
    looked = discovery.candidates({}, WINDOWS, [tmp_path])
    inventory = Inventory(
        WINDOWS, LAPTOP, looked, looked[0].runtime, None, Answer((1, 21, 0)), Fact("1")
    )
    line = found(examine(inventory, store))["runtime.problem"]
    assert line.sign is Sign.FAULT
    assert line.words.startswith("QnnSystem.dll is missing beside Genie.dll")
    assert line.mend


def test_a_library_that_does_not_open_has_a_mend_for_where_it_is_from(
    tmp_path: Path, store: ModelStore
) -> None:
    inventory = replace(laptop(tmp_path), answer=Answer(None, "It does not open."))
    line = found(examine(inventory, store))["runtime.genie"]
    assert (line.sign, line.words) == (Sign.FAULT, "It does not open.")
    assert line.mend.startswith("Unpack the QAIRT SDK again")
    assert inventory.runtime is not None
    named = replace(inventory.runtime, source="NPURUN_GENIE_LIB")
    line = found(examine(replace(inventory, runtime=named), store))["runtime.genie"]
    assert "unset" in line.mend


def test_emulated_python_is_a_fault_with_the_command(store: ModelStore) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        discovery.find_runtime({}, EMULATED, [])
    inventory = Inventory(EMULATED, LAPTOP, (), None, caught.value, None, Fact("1"))
    lines = found(examine(inventory, store))
    assert lines["machine.python"].sign is Sign.FAULT
    assert "winget install" in lines["machine.python"].mend
    assert lines["runtime.genie"].sign is Sign.FAULT


def test_windows_on_arm_needs_no_llama_cpp(tmp_path: Path, store: ModelStore) -> None:
    inventory = replace(laptop(tmp_path), cpu_engine=Fact("not installed", found=False))
    line = found(examine(inventory, store))["cpu_engine.llama_cpp"]
    assert line.sign is Sign.NOTICE
    assert "pip install" not in line.mend


def test_a_dsp_that_cannot_be_used_is_a_fault(tmp_path: Path, store: ModelStore) -> None:
    files = json.loads((FIXTURES / "linux_x1e.json").read_text("utf-8"))
    del files["dev/fastrpc-cdsp"]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    inventory = replace(laptop(tmp_path), hardware=linux.probe(tmp_path))
    assert found(examine(inventory, store))["npu.access"].sign is Sign.FAULT


def bundle(store: ModelStore, name: str, config: str = "{}", parameters: str = "") -> Path:
    folder = store.root / name
    folder.mkdir(parents=True)
    (folder / "genie_config.json").write_text(config)
    files = Files(genie_config="genie_config.json")
    Manifest(name, "qwen3", 151_936, 4096, "w4a16", files, parameters=parameters).write(folder)
    return folder


def test_a_bundle_with_a_missing_file_is_named(tmp_path: Path, store: ModelStore) -> None:
    config = {
        "dialog": {
            "context": {"size": 4096, "n-vocab": 100, "bos-token": -1},
            "tokenizer": {"path": "tokenizer.json"},
            "engine": {"backend": {"type": "QnnHtp"}, "model": {"binary": {"ctx-bins": ["a.bin"]}}},
        }
    }
    bundle(store, "qwen3-4b", json.dumps(config))
    bundle(store, "damaged").joinpath("genie_config.json").unlink()
    lines = found(examine(laptop(tmp_path), store))
    assert "tokenizer.json is missing" in lines["models.model:qwen3-4b"].words
    assert lines["models.model:damaged"].mend.startswith("`npurun-tui rm damaged`")


def test_what_cannot_be_written_is_written_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("k", "\x1b[2Jlabel", "words\x07\nmore", Sign.FAULT, "do `this`")
    write_sections([Section("s", "Title", (finding,))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  ✗ ␛[2Jlabel  words␇ more")
    assert lines[2].strip() == "→ do `this`"
    # A console of code page 437 has no check mark.
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    monkeypatch.setattr(sys, "stdout", stream)
    write_sections([Section("s", "Title", (Finding("k", "label", "words"),))])
    stream.flush()
    assert b"+ label  words" in stream.buffer.getvalue()


# --- what a bench can measure -------------------------------------------------------------------


def test_what_a_bench_can_measure_is_told_with_its_source() -> None:
    load = Told("Processor and memory", "can be read", True, "")
    rapl = Told("RAPL", "not measurable here: only root may", False, "the processor package")
    battery = Told("Battery", "the power of the whole machine", True, "the whole machine")
    lines = found((measurable([load, rapl, battery]),))
    energy = lines["bench.energy"]
    assert (energy.sign, energy.words) == (
        Sign.GOOD,
        "joules a token, by Battery: the power of the whole machine",
    )
    assert lines["bench.rapl"].sign is Sign.NOTICE
    assert lines["bench.processor_and_memory"].sign is Sign.GOOD
    energy = found((measurable([load, rapl]),))["bench.energy"]
    assert energy.sign is Sign.NOTICE
    assert energy.words.startswith("not measurable here")


# --- the command -------------------------------------------------------------------------------

NPU_HERE = linux.probe().npu.found or sys.platform == "win32"


@pytest.mark.skipif(NPU_HERE, reason="this machine may have an NPU")
@pytest.mark.parametrize(("flags", "status"), [((), 0), (("--strict",), 1)])
def test_without_an_npu_it_says_so(tmp_path: Path, flags: tuple[str, ...], status: int) -> None:
    done = program(tmp_path, "doctor", *flags)
    assert (done.returncode, done.stderr) == (status, "")
    assert f"! device  {NO_NPU}" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"{NO_NPU}.")
    document = json.loads(program(tmp_path, "doctor", "--json").stdout)
    assert document["usable_npu"] is False
    assert document["machine"]["npu"] is None
    assert document["proof"] is None
    assert {"energy", "processor_and_memory"} <= {f["key"] for f in document["sections"]["bench"]}
    (device,) = document["sections"]["npu"]
    assert (device["key"], device["state"], device["text"]) == ("device", "notice", NO_NPU)


@posix
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "libGenie.so",
            b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + b"\xa4\0" + bytes(44),
            "is for the Hexagon DSP",
        ),
        ("libGenie.so", b"version https", "is not a shared library"),
        ("other.so", b"", "There is no library"),
    ],
)
def test_a_bad_library_is_a_fault_with_its_mend(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    library = tmp_path / "libGenie.so"
    done = program(tmp_path, "doctor", NPURUN_GENIE_LIB=str(library))
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if line.lstrip().startswith("✗")]
    assert words in line
    assert program(tmp_path, "doctor", "--strict", NPURUN_GENIE_LIB=str(library)).returncode == 1


def test_a_model_that_is_not_there_cannot_be_proven(tmp_path: Path) -> None:
    done = program(tmp_path, "doctor", "--prove", "nothing")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.model
@pytest.mark.parametrize(("flags", "status"), [((), 0), (("--strict",), 1)])
def test_a_cpu_model_is_told_to_run_on_the_cpu(
    tmp_path: Path, real_models: Path, flags: tuple[str, ...], status: int
) -> None:
    arguments = ("doctor", "--json", *flags, "--prove", "smollm2-135m-instruct")
    done = program(tmp_path, *arguments, NPURUN_MODELS_DIR=str(real_models))
    assert done.returncode == status, done.stderr
    proof = json.loads(done.stdout)["proof"]
    assert proof["verdict"].startswith("runs on the CPU")
    assert proof["proven"] is False
    assert proof["decode_tps"] > 0
    assert proof["completion_tokens"] > 1


@posix
@pytest.mark.model
def test_a_genie_bundle_on_the_cpu_is_told_to_run_on_the_cpu(
    tmp_path: Path, model_file: Path
) -> None:
    folder = tmp_path / "models" / "bundle"
    bundle_of(model_file, folder, context=512)
    files = Files(genie_config="genie_config.json")
    Manifest("bundle", "llama", 49_152, 512, "Q4_1", files).write(folder)
    library = built_library()
    done = program(tmp_path, "doctor", "--prove", "bundle", NPURUN_GENIE_LIB=str(library))
    assert done.returncode == 0, done.stderr
    assert "runs on the CPU: CPU (Genie) made this answer" in done.stdout
    assert "D4" in done.stdout
    assert "R2" not in done.stdout  # a finding about the NPU, and this library has none


# --- the proofs --------------------------------------------------------------------------------

HERE = chip_of("Snapdragon(R) X Elite - X1E80100")


@pytest.mark.parametrize(
    ("samples", "passed"),
    [
        ((21.0, 27.0, 24.0, 0.0), True),
        ((0.0, 0.0, 1.0), False),
        ((0.0, 0.0, 0.0, 90.0), False),
        ((), None),
    ],
)
def test_the_npu_must_be_busy_most_of_the_time(
    samples: tuple[float, ...], passed: bool | None
) -> None:
    run = Run(14.9, 96, 9000, samples, "" if samples else "cannot be sampled here")
    check = usage_check(run)
    assert check.passed is passed
    if not samples:
        assert check.words == "NPU use cannot be sampled here"


@pytest.mark.parametrize(
    ("target", "archs", "chip", "passed"),
    [
        (Target("v73", 60, "Snapdragon X Elite CRD"), ("v73", "v81"), HERE, True),
        (Target("v81", 88), ("v73", "v81"), HERE, False),
        (Target("v81"), ("v73",), HERE, False),
        (Target("v73", 43), ("v73",), HERE, False),
        (Target("v73"), ("v73",), None, None),
        (Target("v73"), ("v81",), None, False),
        (Target(device="Snapdragon X Elite CRD"), ("v73",), HERE, True),
        (Target(device="Snapdragon X2 Elite CRD"), ("v73", "v81"), HERE, False),
        (Target(device="SA8295P"), ("v73",), HERE, None),
        (Target(), ("v73",), HERE, None),
    ],
)
def test_the_target_must_be_this_machine(
    target: Target, archs: tuple[str, ...], chip: Chip | None, passed: bool | None
) -> None:
    assert target_check(target, archs, chip).passed is passed


def write_extensions(folder: Path) -> None:
    document = {"devices": [{"soc_model": 60, "dsp_arch": "V73", "cores": [{"core_id": 0}]}]}
    (folder / "htp_backend_ext_config.json").write_text(json.dumps(document))


def write_old_extensions(folder: Path) -> None:
    document = {"devices": [{"soc_id": 60, "dsp_arch": "v73"}]}
    (folder / "htp_backend_ext_config.json").write_text(json.dumps(document))


def write_metadata(folder: Path) -> None:
    (folder / "metadata.json").write_text('{"job": {"device": "Snapdragon X Elite CRD\\u001b[2J"}}')


def write_yaml(folder: Path) -> None:
    (folder / "metadata.yaml").write_text("model: x\ndevice: 'Snapdragon X2 Elite CRD'  # made\n")


def write_names(folder: Path) -> None:
    (folder / "qwen3_4b_snapdragon_x_elite_1_of_4.bin").write_bytes(b"")


def write_nonsense(folder: Path) -> None:
    (folder / "metadata.json").write_text("[" * 100_000)
    (folder / "a.json").write_text('{"dsp_arch": ["v73"], "soc_model": "60", "device": 3}')
    (folder / "b.json").mkdir()


@pytest.mark.parametrize(
    ("write", "target"),
    [
        (write_extensions, Target("v73", 60)),
        (write_old_extensions, Target("v73", 60)),
        (write_metadata, Target(device="Snapdragon X Elite CRD␛[2J")),
        (write_yaml, Target(device="Snapdragon X2 Elite CRD")),
        (write_names, Target(device="Snapdragon X")),
        (write_nonsense, Target()),
    ],
)
def test_the_bundle_says_its_target(
    tmp_path: Path, write: Callable[[Path], None], target: Target
) -> None:
    write(tmp_path)
    assert read_target(tmp_path) == target


@pytest.mark.parametrize(
    ("tps", "size", "baseline", "passed"),
    [
        (14.9, "4B", None, True),
        (0.6, "4B", None, False),
        (14.9, "qwen3-4b-instruct-2507", None, True),
        (30.0, "1B", None, None),
        (14.9, "", None, None),
        (24.0, "4B", 7.0, True),
        (14.9, "4B", 7.0, False),
    ],
)
def test_the_rate_must_be_beyond_a_cpu(
    store: ModelStore, tps: float, size: str, baseline: float | None, passed: bool | None
) -> None:
    bundle(store, "cpu-model")
    rival = store.get("cpu-model") if baseline else None
    run = Run(baseline or 0, 96, 1, (), "") if baseline else None
    assert rate_check(tps, size, rival, run).passed is passed


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("4B", 4),
        ("135M", 0.135),
        ("qwen3-4b-2507", 4),
        ("1.5B", 1.5),
        ("w4a16", 0),
        ("phi-3.5", 0),
        ("3 Mb", 0),
    ],
)
def test_parameter_counts_as_people_write_them(words: str, number: float) -> None:
    assert billions(words) == pytest.approx(number)


def test_only_a_cpu_model_of_the_same_size_is_compared(store: ModelStore) -> None:
    bundle(store, "npu", parameters="4B")
    bundle(store, "other-npu", parameters="4B")
    for name, size in (("small", "135M"), ("right", "3.8B")):
        folder = store.root / name
        folder.mkdir()
        (folder / "m.gguf").write_bytes(b"x")
        files = Files(model="m.gguf")
        Manifest(name, "a", 9, 9, "Q4_0", files, backend="llama.cpp", parameters=size).write(folder)
    rival = comparable(store.get("npu"), store)
    assert rival is not None
    assert rival.name == "right"
    bundle(store, "unsized")
    assert comparable(store.get("unsized"), store) is None


def test_only_three_of_three_prove_it() -> None:
    good = [Check(key, True, key) for key in ("usage", "target", "rate")]
    assert verdict(tuple(good)) == PROVEN
    for place in range(3):
        for state in (False, None):
            checks = [*good]
            checks[place] = Check("x", state, "the reason")
            assert verdict(tuple(checks)) == "not proven: the reason"


# --- the line for the workbench ----------------------------------------------------------------


@posix
async def test_the_runtime_in_one_line(tmp_path: Path) -> None:
    forget()
    library = compiled(tmp_path, genie_of(1, 21, 0))
    summary = await runtime_summary({"NPURUN_GENIE_LIB": str(library)})
    assert summary.words.startswith("CPU")
    assert summary.short == ("CPU, Genie 1.21.0" if summary.ok else "CPU only")
    assert "1.21.0" in summary.words
    assert ("library", str(library)) in summary.details
    library.unlink()  # found once, it is not looked for again
    assert await runtime_summary({"NPURUN_GENIE_LIB": str(library)}) is summary
    forget()
    gone = await runtime_summary({"NPURUN_GENIE_LIB": str(library)})
    assert not gone.ok
    assert gone.words.startswith("CPU only: There is no library")  # what was set by hand is named
    nothing = await runtime_summary({"NPURUN_GENIE_LIB": ""})
    assert "There is no library" not in nothing.words
    assert gone.short == "CPU only"
    assert os.fspath(library) in dict(gone.details)["runtime"]
