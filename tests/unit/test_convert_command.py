"""`convert manifest`, `inspect` and `export` as a person and as a script meet them.

The export is run for real, in a Python of its own, with a package `qai_hub_models` that stands in for Qualcomm's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from npurun_tui.cli import main
from npurun_tui.commands import convert_recipes
from npurun_tui.commands.convert_checks import place_checks
from npurun_tui.commands.convert_python import find_interpreter
from npurun_tui.commands.convert_token import Token, find_token, handed_over
from npurun_tui.models.fit import machine_facts
from npurun_tui.models.layout import CELL, MAP, PART
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths
from tests.support.genie_bundle import config as cpu_config
from tests.support.genie_bundle import write_bundle
from tests.support.gguf import build_gguf
from tests.support.local_bundle import make_bundle
from tests.support.rust_rules import rust_faults

SECRET = "hub-token-that-nobody-may-see"
RECIPE = "phi-3.5-mini"
MODULE = "phi_3_5_mini_instruct"

EXPORT = """
import json, os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.support.local_bundle import make_bundle
OLD = "--model-cache-mode --skip-profiling --skip-inferencing --precision"
def main(options):
    if "--help" in sys.argv:
        print("usage: export [--output-dir DIR]", options)
        sys.exit(int(os.environ.get("STAND_IN") == "no help"))
    print("arguments", json.dumps(sys.argv[1:]), flush=True)
    ini = Path(os.environ.get("QAIHUB_CLIENT_INI", "none"))
    if ini.is_file():
        print("mode", oct(ini.stat().st_mode & 0o077), "in", ini, flush=True)
        print(ini.read_text(), "\\u2713 \\x1b[2J", os.environ["PYTHONUTF8"], flush=True)
    import tempfile
    print("temporary", tempfile.mkdtemp(), flush=True)
    print("10 %\\r50 %\\r100 %\\r\\ndone", file=sys.stderr, flush=True)
    if os.environ.get("STAND_IN") == "fail":
        sys.exit(3)
    if os.environ.get("STAND_IN") == "nothing":
        return
    if os.environ.get("STAND_IN") in ("wait", "leave"):
        import subprocess
        # the process between is gone at once, so nobody knows any more whose child the sleeper is
        code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', "
        code += "'import time; time.sleep(60)'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
        child = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        print("waiting", os.getpid(), child.stdout.strip(), flush=True)
        if os.environ["STAND_IN"] == "wait":
            time.sleep(60)
    out = Path(sys.argv[sys.argv.index("--output-dir") + 1])
    precision = {{}} if os.environ.get("STAND_IN") == "silent" else {{"precision": "w4a16"}}
    if options == OLD:
        out = out / "phi-genie"
    elif out.exists():  # as the package does it
        out = out.with_name(out.name + "-1")
    make_bundle(out, files={{"metadata.json": precision}})
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NPURUN_MODELS_DIR", "QAI_HUB_API_TOKEN", "STAND_IN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NPURUN_TUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(home: Path) -> ModelStore:
    return ModelStore(Paths.resolve().models)


@pytest.fixture
def bundle(home: Path) -> Path:
    return make_bundle(home / "phi", files={"config.json": {"model_type": "phi3"}})


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in package with a module for each model, where this test's Python finds it, and a token."""
    package = home / "site" / "qai_hub_models" / "models" / MODULE
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    text = EXPORT.format(root=str(Path(__file__).parents[2]))
    (package / "export.py").write_text(text + "main(OLD)\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(home / "site"))
    monkeypatch.setenv("QAI_HUB_API_TOKEN", SECRET)
    return home / "out"


@pytest.fixture
def newer_hub(hub: Path) -> Path:
    """As `hub`, with the command that the newest releases have; a model's module only says so."""
    site = hub.parent / "site"
    (site / "qai_hub_models" / "cli").mkdir()
    (site / "qai_hub_models" / "cli" / "dispatch.py").touch()
    module = site / "qai_hub_models" / "models" / MODULE / "export.py"
    (site / "qai_hub_models_cli").mkdir()
    (site / "qai_hub_models_cli" / "cli.py").write_text(
        module.read_text("utf-8")
        .replace("main(OLD)", "")
        .replace("def main(options):", 'def main(options="--skip-profiling"):'),
        "utf-8",
    )
    module.write_text("raise SystemExit('no longer supported')")
    return hub


def suited() -> bool:
    return find_interpreter(MODULE, sys.executable).suited


needs_suited_python = pytest.mark.skipif(not suited(), reason="needs x86-64 Python 3.10 to 3.13")


# --- manifest ------------------------------------------------------------------------------------


def test_a_bundle_becomes_a_model(
    store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "manifest", str(bundle)]) == 1
    assert "--quant" in capsys.readouterr().err
    assert main(["convert", "manifest", str(bundle), "--quant", "w4a16"]) == 0
    out, error = capsys.readouterr()
    assert out.startswith("phi is installed: ")
    assert "enable-graph-switching on" in out
    runs = bool(machine_facts().hexagons)
    assert ('npurun-tui run phi "Hello"' in out) is runs
    assert ("It cannot run on this machine" in out) is not runs
    assert error == ""
    assert main(["show", "phi", "--verify"]) == 0
    assert rust_faults(json.loads((store.root / "phi" / "npurun.json").read_text())) == []


def test_for_programs(store: ModelStore, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "tiny.gguf"
    file.write_bytes(build_gguf())
    arguments = ["convert", "manifest", str(file), "--name", "t", "--move", "--json"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["backend"]) == ("t", "llama.cpp")
    assert document["manifest"]["hash_origin"] == "recorded"
    assert not file.exists()


def test_all_that_has_to_be_given_is_asked_for_at_once(
    store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "config.json").unlink()
    assert main(["convert", "manifest", str(bundle)]) == 1
    error = capsys.readouterr().err
    assert "says its architecture and its quantisation. Give them" in error
    assert "`--arch qwen3 --quant w4a16` (phi3, " in error


def test_one_way_of_bringing_it(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "manifest", str(bundle), "--copy", "--move"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_in_place(store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_place = ["convert", "manifest", "--in-place", "--quant", "w4a16"]
    assert main([*in_place, str(bundle)]) == 2
    assert "directly below the models' folder" in capsys.readouterr().err
    store.root.mkdir(parents=True)
    target = store.root / "mine"
    bundle.rename(target)
    assert main([*in_place, str(target), "--name", "other"]) == 2
    assert "the folder's name" in capsys.readouterr().err
    assert main([*in_place, str(target / "genie_config.json"), "--name", "other"]) == 2
    assert "is a file, and what is left in place is a folder" in capsys.readouterr().err
    assert main([*in_place, str(target)]) == 0
    assert store.get("mine").manifest.arch == "phi3"


# --- inspect ---------------------------------------------------------------------------------------


def test_inspect_says_where_each_value_was_read(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "inspect", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "phi3  [config.json]" in out
    assert "512, 4,096  [graph names in the context binaries]" in out
    assert "enable-graph-switching on in genie_config.json: graphs are named prompt_" in out
    assert "No file says what --quant would" in out
    assert not (bundle / "npurun.json").exists()
    assert main(["convert", "inspect", str(bundle), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "bundle"
    assert document["missing"] == ["--quant"]
    assert document["origins"]["arch"] == "config.json"


def test_inspect_compares(
    store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "manifest", str(bundle), "--quant", "w4a16"]) == 0
    folder = store.root / "phi"
    for target in ("phi", "phi:latest", str(folder)):
        capsys.readouterr()
        assert main(["convert", "inspect", target]) == 0
        assert capsys.readouterr().out.count(" same ") == 6
    shard = folder / "bundle" / "model_part_1_of_2.bin"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    (folder / "bundle" / "config.json").unlink()
    capsys.readouterr()
    assert main(["convert", "inspect", "phi", "--json"]) == 1
    out, error = capsys.readouterr()
    document = json.loads(out)
    assert document["ok"] is False
    assert document["verification"]["bundle/model_part_1_of_2.bin"] == "differs"
    assert document["verification"]["bundle/config.json"] == "missing"
    assert "not what its manifest says" in error
    assert main(["convert", "inspect", "phi", "--no-verify"]) == 0
    shard.write_bytes(shard.read_bytes()[:-1])
    assert main(["convert", "inspect", "phi", "--no-verify"]) == 1
    assert "when it was installed" in capsys.readouterr().err


def test_inspect_says_what_makes_a_model_whole_again(
    store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mend in (
        ("mine", "`npurun-tui convert manifest --force`"),
        ("phi-3.5-mini", "`npurun-tui pull phi-3.5-mini --force`"),
    ):
        assert main(["convert", "manifest", str(bundle), "--quant", "w4a16", "--name", name]) == 0
        (store.root / name / "bundle" / "config.json").unlink()
        assert main(["convert", "inspect", name]) == 1
        out, error = capsys.readouterr()
        assert "an installed model, " in out
        assert mend in error


def test_inspect_of_a_bundle_for_the_processor(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is made to run on is its config's word and not that of its kind."""
    document = cpu_config(context=512, vocabulary=300, bos=1, eos=2, model="weights.bin")
    folder = home / "cpu"
    write_bundle(folder, document, [], {})
    (folder / "weights.bin").write_bytes(b"w")
    assert main(["convert", "inspect", str(folder)]) == 0
    assert "CPU (Genie)  [genie_config.json]" in capsys.readouterr().out


def test_inspect_shows_what_a_manifest_records_and_what_it_knows_nothing_of(
    store: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "manifest", str(bundle), "--quant", "w4a16"]) == 0
    (store.root / "phi" / "bundle" / "added.txt").write_text("mine")
    for target in ("phi", str(store.root / "phi" / "npurun.json")):
        capsys.readouterr()
        assert main(["convert", "inspect", target]) == 0
        out = capsys.readouterr().out
        assert re.search(r"no sha256 +4 B +bundle/added\.txt", out)
        assert re.search(r"source +local", out)
        assert re.search(r"hashes +recorded", out)


def test_inspect_of_what_is_not_there(
    store: ModelStore, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "inspect", "nothing"]) == 1
    assert "There is no model called nothing" in capsys.readouterr().err
    (home / "bad").mkdir()
    (home / "bad" / "npurun.json").write_text("[")
    assert main(["convert", "inspect", str(home / "bad")]) == 1
    assert "is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "inspect", "~nobody-here/x"],
        ["convert", "manifest", "~nobody-here/x"],
        ["convert", "manifest", "~nobody-here/x", "--in-place"],
        ["convert", "export", "qwen-2-5-7b", "--skip-compile", "-o", "~nobody-here/x"],
        ["genie-abi", "build", "--out", "~nobody-here/x", "--api", "9"],
    ],
)
def test_the_home_of_nobody(
    home: Path,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    assert main(arguments) in {1, 2}
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("npurun-tui: ")
    assert "crash" not in error


def test_places_with_no_model_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "empty").mkdir()
    assert main(["convert", "inspect", str(home / "empty")]) == 1
    error = capsys.readouterr().err
    assert f"{home / 'empty'} holds no folder with a genie_config.json" in error
    assert "or a .gguf file" in error
    assert main(["convert", "inspect", " "]) == 2
    assert "needs a model's name" in capsys.readouterr().err
    (home / "cut.gguf").write_bytes(build_gguf()[:40])
    assert main(["convert", "manifest", str(home / "cut.gguf")]) == 1
    assert "Get the file again from its source." in capsys.readouterr().err
    assert main(["convert", "inspect", os.devnull]) == 1
    assert "is neither a folder nor a regular file" in capsys.readouterr().err


def test_hostile_texts_are_printable(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = "\x1b]0;t\x07x\nname  forged"
    files = {"config.json": {"model_type": forged}, "tokenizer_config.json": {"eos_token": forged}}
    root = make_bundle(home / "b", files=files)
    config = root / "genie_config.json"
    config.write_text(
        config.read_text("utf-8").replace('"bos-token"', '"eos-token": 2, "bos-token"')
    )
    assert main(["convert", "inspect", str(root)]) == 0
    out = capsys.readouterr().out
    assert not set("\x1b\x07") & set(out)
    assert sum(line.lstrip().startswith("name") for line in out.splitlines()) == 1


# --- export ------------------------------------------------------------------------------------------


def test_the_recipes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "export", "list"]) == 0
    assert MODULE in capsys.readouterr().out
    assert main(["convert", "export", "?", "--json"]) == 0
    recipes = json.loads(capsys.readouterr().out)["recipes"]
    assert {MODULE, "llama_v3_1_8b_instruct", "qwen2_5_7b_instruct"} <= {
        r["module"] for r in recipes
    }
    assert all(recipe["bundle"] < recipe["room"] for recipe in recipes)
    assert main(["convert", "export", "gpt", "-o", "x"]) == 2
    assert main(["convert", "export", RECIPE]) == 2
    assert "-o DIR" in capsys.readouterr().err


def export(out: Path, *more: str) -> list[str]:
    return ["convert", "export", RECIPE, "-o", str(out), "--python", sys.executable, *more]


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in's bundle has 5 kB, so this machine's disk need not have room for a real one."""
    small = (replace(recipe, room=1_000_000) for recipe in convert_recipes.RECIPES)
    monkeypatch.setattr(convert_recipes, "RECIPES", tuple(small))


def arguments(error: str) -> Any:
    (line,) = [line for line in error.splitlines() if line.startswith("arguments ")]
    return json.loads(line.removeprefix("arguments "))


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_an_export_from_end_to_end(
    hub: Path, store: ModelStore, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(export(hub, "--qnn-sdk", "2.45.0")) == 0
    out, error = capfd.readouterr()
    assert out.startswith(f"{RECIPE} is installed: ")
    assert arguments(error) == [
        *("--device", "Snapdragon X Elite CRD"),
        *("--target-runtime", "genie"),
        *("--model-cache-mode", "enable"),
        *("--skip-profiling", "--skip-inferencing"),
        *("--output-dir", str(hub / RECIPE)),
    ]
    manifest = store.get(RECIPE).manifest
    assert (manifest.arch, manifest.quant, manifest.qnn_sdk) == ("phi3", "w4a16", "2.45.0")
    (line,) = [line for line in error.splitlines() if line.startswith("temporary ")]
    assert Path(line.removeprefix("temporary ")).is_relative_to(hub)  # the disk that was checked
    assert [entry.name for entry in hub.iterdir()] == [RECIPE]

    assert main(export(hub, "--json")) == 1  # the name is taken now
    document = json.loads(capfd.readouterr().out)
    assert [check["key"] for check in document["checks"] if not check["passed"]] == ["name"]
    store.remove(RECIPE)
    assert main(export(hub, "--skip-compile", "--json")) == 0
    assert json.loads(capfd.readouterr().out)["model"]["name"] == RECIPE


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_an_export_by_the_command_of_the_newest_releases(
    newer_hub: Path, store: ModelStore, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only the options that it has are given; a folder that is there would send the bundle elsewhere."""
    (newer_hub / RECIPE).mkdir(parents=True)
    assert main(export(newer_hub, "--device", "Snapdragon X2 Elite CRD")) == 0
    assert arguments(capfd.readouterr().err) == [
        *("export", MODULE),
        *("--device", "Snapdragon X2 Elite CRD"),
        *("--target-runtime", "genie"),
        "--skip-profiling",
        *("--output-dir", str(newer_hub / f"{RECIPE}-2")),
    ]
    assert store.get(RECIPE).manifest.quant == "w4a16"
    store.remove(RECIPE)
    assert main(export(newer_hub, "--quant", "w8a16")) == 1
    assert "in one quantisation only. Leave --quant out" in capfd.readouterr().err


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_the_token_reaches_the_package_and_nobody_else(
    hub: Path, store: ModelStore, capfd: pytest.CaptureFixture[str]
) -> None:
    """The package reads a file and not the variable; the file is gone afterwards."""
    assert main(export(hub)) == 0
    out, error = capfd.readouterr()
    assert "an API token of AI Hub is in QAI_HUB_API_TOKEN" in error
    assert "api_token = ***" in error
    assert "api_url = https://" in error
    assert "\u2713 \u241b[2J 1" in error
    assert SECRET not in out + error
    (line,) = [line for line in error.splitlines() if line.startswith("mode ")]
    assert line.startswith("mode 0o0 in ")
    assert not Path(line.removeprefix("mode 0o0 in ")).exists()
    # of a progress bar only the first of a while and the last are shown where nobody sees it drawn
    assert [text for text in error.splitlines() if text.endswith("%")] == ["10 %", "100 %"]
    assert "done" in error.splitlines()


@needs_suited_python
@pytest.mark.usefixtures("roomy", "store")
def test_an_old_bundle_is_not_taken_for_what_was_compiled(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    old = make_bundle(hub / "before", files={"metadata.json": {"precision": "w4a16"}})
    # how long ago the files were put there cannot be set, so the export begins later
    monkeypatch.setattr(time, "time", lambda: old.stat().st_ctime + 60)
    monkeypatch.setenv("STAND_IN", "nothing")
    assert main(export(hub)) == 1
    assert "no new Genie bundle" in capfd.readouterr().err
    make_bundle(hub / ".tmp-killed" / "half")
    assert main(export(hub, "--skip-compile")) == 0


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_a_bundle_that_does_not_say_its_quantisation_is_not_compiled_twice(
    hub: Path,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAND_IN", "silent")
    assert main(export(hub)) == 1
    assert "Add --skip-compile and, for example, `--quant w4a16`" in capfd.readouterr().err
    assert main(export(hub, "--skip-compile", "--quant", "w4a16")) == 0
    assert store.get(RECIPE).manifest.quant == "w4a16"


@needs_suited_python
@pytest.mark.usefixtures("roomy", "store")
def test_what_is_wrong_is_told_before_anything_is_compiled(
    hub: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert main(list(arguments)) in {1, 2}
        error = capfd.readouterr().err
        assert "arguments" not in error
        return error

    assert "MAJOR.MINOR.PATCH" in refused(*export(hub, "--qnn-sdk", "2.45"))
    assert "--quant" in refused(*export(hub, "--quant", "a\nb"))
    (home / "file").touch()
    assert "is no folder that can be written to" in refused(*export(home / "file"))
    assert "is no folder that can be written to" in refused(*export(home / "file" / "below"))
    monkeypatch.setenv("NPURUN_MODELS_DIR", str(home / "file" / "models"))
    assert "NPURUN_MODELS_DIR names" in refused(*export(hub))
    monkeypatch.delenv("NPURUN_MODELS_DIR")
    monkeypatch.setenv("STAND_IN", "no help")
    error = refused(*export(hub))
    assert f"does not export {MODULE}: usage: export" in error
    assert f'pip install "qai_hub_models[{MODULE.replace("_", "-")}]"' in error
    shutil.rmtree(home / "site" / "qai_hub_models" / "models" / MODULE)
    assert f"has no export of {MODULE}" in refused(*export(hub))
    assert not hub.exists()


@needs_suited_python
@pytest.mark.usefixtures("roomy", "store")
def test_a_pull_of_that_name_is_seen_before_it_begins(
    hub: Path, store: ModelStore, capfd: pytest.CaptureFixture[str]
) -> None:
    partial = store.layout.partial(RECIPE)
    partial.mkdir(parents=True)
    (partial / PART).write_bytes(bytes(700))
    (partial / MAP).write_bytes(CELL.pack(700, 0))
    assert main(export(hub)) == 1
    assert f"{RECIPE} is taken as a model's name" in capfd.readouterr().err


@needs_suited_python
@pytest.mark.skipif(os.name == "nt", reason="makes a link to a Python")
@pytest.mark.usefixtures("roomy", "store")
def test_a_python_named_from_where_one_stands(
    hub: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export runs in another folder. What else lies here is no place for modules."""
    monkeypatch.chdir(home)
    (home / "json.py").write_text("raise SystemExit('a stranger ran')")
    (home / "venv").symlink_to(Path(sys.executable).parent, target_is_directory=True)
    (home / "mine").symlink_to(sys.executable)
    assert find_interpreter(MODULE, "./mine").suited
    assert find_interpreter(MODULE, "~/mine").suited
    python = f"./venv/{Path(sys.executable).name}"
    assert main(["convert", "export", RECIPE, "-o", str(hub), "--python", python]) == 0


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_a_volume_without_links_costs_a_copy_and_no_second_export(
    hub: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    make_bundle(hub / "b", files={"metadata.json": {"precision": "w4a16"}})
    (hub / "b" / "model_part_1_of_2.bin").write_bytes(b"token_ar1_cl512".ljust(2 << 20, b"x"))
    monkeypatch.setattr(os, "link", refuse)
    assert main(export(hub, "--skip-compile")) == 0
    assert store.get(RECIPE).shared == 0


@needs_suited_python
@pytest.mark.usefixtures("roomy")
def test_an_export_that_fails(
    hub: Path,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    assert main(export(hub, "--quant", "w8a16")) == 1
    error = capfd.readouterr().err
    assert '"--precision", "w8a16"' in error
    assert "ended with status 3" in error
    assert store.scan() == ([], [])
    assert main(export(hub, "--skip-compile")) == 1
    assert "no Genie bundle" in capfd.readouterr().err


@pytest.mark.parametrize("key", ["python", "package", "token", "disk"])
def test_each_check_has_its_mend(
    home: Path,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
) -> None:
    huge = replace(convert_recipes.RECIPES[0], room=10**18)
    monkeypatch.setattr(convert_recipes, "RECIPES", (huge,))
    python = sys.executable if key == "package" and suited() else str(home / "nothing")
    arguments = ["convert", "export", RECIPE, "-o", str(home / "out"), "--python", python]
    assert main([*arguments, "--json"]) == 1
    out, error = capsys.readouterr()
    failed = {c["key"]: c for c in json.loads(out)["checks"] if not c["passed"]}
    if key == "package" and not suited():
        pytest.skip("the package is asked for only where the Python is suited")
    assert failed[key]["mend"]
    assert failed[key]["mend"] in error
    assert not (home / "out").exists()


def test_a_drive_that_is_not_there_is_no_folder(store: ModelStore) -> None:
    """No part of the path exists: so it is with a letter that Windows has given to nothing."""
    (disk, name) = place_checks(convert_recipes.RECIPES[0], Nowhere("Z:/out"), store)
    assert (disk.passed, name.passed) == (False, True)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second volume")
def test_where_the_models_lie_on_another_disk_the_bundle_has_to_fit_there(home: Path) -> None:
    recipe = replace(convert_recipes.RECIPES[0], room=1, bundle=10**18)
    store = ModelStore(Path("/dev/shm/npurun-tui-test/models"))
    checks = place_checks(recipe, home, store)
    assert [check.key for check in checks if not check.passed] == ["models' disk"]
    assert all(check.passed for check in place_checks(recipe, home, ModelStore(home / "models")))


class Nowhere(type(Path())):  # type: ignore[misc]
    """A path without a parent."""

    parents = ()


def test_the_token_may_be_in_a_file(home: Path) -> None:
    assert find_token({}) == Token("", "~/.qai_hub/client.ini")
    (home / ".qai_hub").mkdir()
    usual = home / ".qai_hub" / "client.ini"
    usual.write_bytes(b"\xef\xbb\xbf[api]\napi_url = https://x\napi_token : a%bc\n")
    assert find_token({}).text == "a%bc"
    assert find_token({"QAI_HUB_API_TOKEN": " env "}) == Token("env", "QAI_HUB_API_TOKEN")
    other = home / "other.ini"
    other.write_text("[api]\napi_token = def\n")
    assert find_token({"QAIHUB_CLIENT_INI": str(other)}) == Token("def", str(other))
    for broken in ("[other]\napi_token = x\n", "api_token = x\n", "[api]\nnothing\n"):
        usual.write_text(broken)
        assert find_token({}).text == ""


def test_a_token_in_a_file_is_left_there(home: Path) -> None:
    with handed_over(Token("abc", "~/.qai_hub/client.ini"), {}) as more:
        assert more == {}


@needs_suited_python
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_ends_the_child_and_what_it_started(hub: Path, store: ModelStore) -> None:
    script = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from npurun_tui.commands import convert_recipes as e\n"
        "e.RECIPES = tuple(replace(r, room=1) for r in e.RECIPES)\n"
        "from npurun_tui.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    environ: dict[str, Any] = {**os.environ, "STAND_IN": "wait"}
    with subprocess.Popen(
        [sys.executable, "-c", script, *export(hub)], env=environ, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        line = next(line for line in child.stderr if line.startswith("waiting "))
        pids = [int(word) for word in line.split()[1:]]
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 130
        assert "Traceback" not in child.stderr.read()
    deadline = time.monotonic() + 20
    while any(map(_lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, pids))
    assert store.scan() == ([], [])


@needs_suited_python
@pytest.mark.skipif(os.name == "nt", reason="Windows has no groups of processes")
@pytest.mark.usefixtures("roomy", "store")
def test_what_an_export_leaves_running_ends_with_it(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN", "leave")
    assert main(export(hub)) == 0
    error = capfd.readouterr().err
    line = next(line for line in error.splitlines() if line.startswith("waiting "))
    deadline = time.monotonic() + 20
    while _lives(int(line.split()[-1])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(int(line.split()[-1]))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_python_that_is_none(home: Path) -> None:
    found = find_interpreter(MODULE, str(home / "nothing"))
    assert not found.suited
    assert "no Python that can be run" in found.words
