"""What the Models tab does with this machine's own disk: verifying, importing, and stopping either."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Static

from npurun_tui.app import WorkbenchApp
from npurun_tui.models import builtin, fit
from npurun_tui.models.fit import MachineFacts
from npurun_tui.models.manifest import Manifest
from npurun_tui.models.store import ModelStore
from npurun_tui.screens import model_local
from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.screens.model_import import ImportScreen
from npurun_tui.widgets.path_input import complete
from tests.support.index_server import Index, serve
from tests.support.local_bundle import make_bundle
from tests.support.models import add_cpu_model
from tests.support.pulling import only_index, pull_all
from tests.support.tiny_model import NAME, TinyModel
from tests.support.workbench import (
    NARROW,
    cells,
    details,
    make_app,
    notices,
    table,
    until,
)

MACHINE = MachineFacts((), "None was found here.", "", cpu_engine=True, memory=16_000_000_000)


@pytest.fixture
def index(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(builtin, "CATALOG", (tiny.entry,))
    monkeypatch.setattr(fit, "machine_facts", lambda: MACHINE)
    with serve(tiny) as index:
        only_index(monkeypatch, index.url)
        yield index


@pytest.fixture
async def pulled(index: Index, tiny: TinyModel, store: ModelStore) -> Path:
    """The tiny model is installed; the folder of it."""
    await pull_all(tiny, store)
    return store.get(NAME).folder


@pytest.fixture
def app(index: Index, tmp_path: Path) -> WorkbenchApp:
    return make_app(tmp_path)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashing and importing stand still behind their first bytes until the gate is opened."""
    gate = threading.Event()
    before = model_local.LocalJob.advance

    def advance(job: model_local.LocalJob, done: int, total: int) -> None:
        before(job, done, total)
        if done:
            gate.wait(30)

    monkeypatch.setattr(model_local.LocalJob, "advance", advance)
    yield gate
    gate.set()


def state(app: WorkbenchApp, name: str) -> str:
    return cells(app, name)[1]


async def on(pilot: Pilot[None], app: WorkbenchApp, name: str) -> None:
    await until(pilot, lambda: name in table(app).keys)
    table(app).go_to(name)
    await pilot.pause()


# --- verifying ---------------------------------------------------------------------------------


async def test_a_good_model_is_found_good(pulled: Path, app: WorkbenchApp) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, NAME)
        await pilot.press("v")
        await until(pilot, lambda: bool(notices(app)))
        assert "1 file is what the manifest says (sha256, pinned)" in notices(app)[0]
        assert state(app, NAME) == "✓ installed"
        assert "✓ same" in details(app)


async def test_a_damaged_model_is_named_and_pulled_anew(
    pulled: Path, app: WorkbenchApp, store: ModelStore, tiny: TinyModel
) -> None:
    file = pulled / store.get(NAME).manifest.files.model
    file.write_bytes(b"\0" + tiny.gguf[1:])
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, NAME)
        await pilot.press("v")
        await until(pilot, lambda: state(app, NAME) == "✗ damaged")
        assert "Press p to pull" in notices(app)[0]
        assert "✗ differs" in details(app)
        await pilot.press("p")
        await until(pilot, lambda: any("is installed" in notice for notice in notices(app)))
        await until(pilot, lambda: state(app, NAME) == "✓ installed")
    assert file.read_bytes() == tiny.gguf


@pytest.mark.parametrize("key", ["v", "escape"])
async def test_hashing_shows_how_far_it_is_and_can_be_stopped(
    gate: threading.Event, pulled: Path, app: WorkbenchApp, key: str
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, NAME)
        await pilot.press("v")
        await until(pilot, lambda: "%" in state(app, NAME))
        await until(pilot, lambda: "Hashing  ━" in details(app))
        await pilot.press(key)
        gate.set()
        await until(pilot, lambda: state(app, NAME) == "✓ installed")
        assert "not compared to the end" in notices(app)[0]
        assert "✓ same" not in details(app)


async def test_removing_stops_the_hashing_first(
    gate: threading.Event, pulled: Path, app: WorkbenchApp
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, NAME)
        await pilot.press("v")
        await until(pilot, lambda: "%" in state(app, NAME))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        gate.set()
        await pilot.press("y")
        await until(pilot, lambda: state(app, NAME) == "· available")
    assert not pulled.exists()


async def test_without_hashes_there_is_nothing_to_compare(
    app: WorkbenchApp, store: ModelStore
) -> None:
    add_cpu_model(store.root, "alpha")
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, "alpha")
        await pilot.press("v")
        await until(pilot, lambda: bool(notices(app)))
        assert "no hashes" in notices(app)[0]


async def test_hostile_paths_are_shown_harmless(app: WorkbenchApp, store: ModelStore) -> None:
    folder = add_cpu_model(store.root, "alpha")
    manifest = Manifest.read(folder)
    replace(manifest, sha256={"in/[red]x.bin": "0" * 64}, licence="\x1b[2J").write(folder)
    async with app.run_test(size=NARROW) as pilot:
        await on(pilot, app, "alpha")
        await until(pilot, lambda: "in/[red]x.bin  missing" in details(app))
        assert "\x1b" not in details(app)


# --- importing ---------------------------------------------------------------------------------


def line(app: WorkbenchApp) -> str:
    return str(app.screen.query_one("#import-line", Static).content)


async def fill(pilot: Pilot[None], app: WorkbenchApp, source: str, name: str = "") -> None:
    """Open the dialog box and fill it in."""
    await until(pilot, lambda: bool(table(app).keys))
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.screen, ImportScreen))
    for key, text in (("source", source), ("name", name), ("arch", "qwen3"), ("quant", "w4a16")):
        app.screen.query_one(f"#{key}").value = text  # type: ignore[attr-defined]


async def test_a_folder_becomes_a_model(
    app: WorkbenchApp, store: ModelStore, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "some-bundle")
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(bundle), "mine")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "mine" in table(app).keys and state(app, "mine")[0] == "✓")
        assert any("mine is installed" in notice for notice in notices(app))
        await until(pilot, lambda: table(app).cursor_key == "mine")
        assert "Settings, and why" in details(app)
        assert "Tiers" in details(app)
        assert "recorded" in details(app)
    assert store.get("mine").manifest.arch == "qwen3"
    assert bundle.exists()


async def test_the_cursor_goes_to_an_import_and_is_not_taken_back_to_it(
    gate: threading.Event, app: WorkbenchApp, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "mine")
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(bundle))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: table(app).cursor_key == "mine" and "%" in state(app, "mine"))
        await pilot.press("end")
        there = table(app).cursor_key
        gate.set()
        await until(pilot, lambda: state(app, "mine") == "✓ installed")
        assert table(app).cursor_key == there != "mine"


async def test_what_is_wrong_is_said_in_the_box_and_nothing_typed_is_lost(
    app: WorkbenchApp, tmp_path: Path
) -> None:
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, "", "mine")
        await pilot.press("ctrl+s")
        assert "missing" in line(app)
        app.screen.query_one("#source").value = str(tmp_path / "nowhere")  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "nowhere" in line(app))
        assert app.screen.query_one("#name").value == "mine"  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_what_no_file_says_is_asked_for_where_it_is_filled_in(
    app: WorkbenchApp, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "outer" / "inner").parent
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, f"{bundle}/")
        app.screen.query_one("#arch").value = app.screen.query_one("#quant").value = ""  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "its architecture and its quantisation" in line(app))
        assert "--" not in line(app), "here they are fields, not options"
        await pilot.press(*"qwen3", "tab", *"w4a16", "ctrl+s")
        await until(pilot, lambda: "outer" in table(app).keys and state(app, "outer")[0] == "✓")


async def test_down_leaves_the_path_where_tab_would_go_on_into_the_folder(
    app: WorkbenchApp, tmp_path: Path
) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, f"{tmp_path / 'outer'}/")
        await pilot.press("down", *"mine")
        assert app.screen.query_one("#name").value == "mine"  # type: ignore[attr-defined]
        assert app.screen.query_one("#source").value == f"{tmp_path / 'outer'}/"  # type: ignore[attr-defined]


async def test_a_key_that_follows_at_once_does_not_overtake_what_was_typed(
    app: WorkbenchApp,
) -> None:
    """Over a slow line a path and Ctrl+S arrive in one read."""
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, "")
        for letter in "/nowhere":
            app.post_message(Key("slash" if letter == "/" else letter, letter))
        app.post_message(Key("ctrl+s", None))
        await until(pilot, lambda: "/nowhere" in line(app))
        assert "missing" not in line(app)


@pytest.mark.parametrize("key", ["c", "escape"])
async def test_an_import_shows_how_far_it_is_and_can_be_stopped(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore, tmp_path: Path, key: str
) -> None:
    bundle = make_bundle(tmp_path / "some-bundle")
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(bundle), "mine")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "mine" in table(app).keys and "%" in state(app, "mine"))
        await on(pilot, app, "mine")
        await until(pilot, lambda: "Importing  " in details(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        title = str(app.screen.query_one(".dialog-title").render())
        assert title == "1 import is on its way. Quit?"
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press(key)
        gate.set()
        await until(pilot, lambda: "mine" not in table(app).keys)
        assert any("Stopped" in notice for notice in notices(app))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        assert app.screen.query_one("#name").value == "mine"  # type: ignore[attr-defined]
        assert "Stopped" in line(app)
    assert store.scan() == ([], [])


async def test_an_import_that_fails_behind_its_box_says_why_until_it_is_tried_again(
    gate: threading.Event, app: WorkbenchApp, store: ModelStore, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "some-bundle")
    last = max(bundle.iterdir())
    text = last.read_bytes()
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(bundle), "mine")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "mine" in table(app).keys and "%" in state(app, "mine"))
        last.unlink()
        gate.set()
        await until(pilot, lambda: state(app, "mine") == "✗ not imported")
        await on(pilot, app, "mine")
        assert last.name in details(app)
        assert "Press o to try again, c to put it aside." in " ".join(details(app).split())
        last.write_bytes(text)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: state(app, "mine") == "✓ installed")
    assert [model.name for model in store.scan()[0]] == ["mine"]


async def test_another_folder_of_the_same_name_is_told_apart(
    gate: threading.Event, app: WorkbenchApp, tmp_path: Path
) -> None:
    first = make_bundle(tmp_path / "one" / "bundle")
    other = make_bundle(tmp_path / "two" / "bundle")
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(first))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        for source, words in ((first, "imported already"), (other, "a name of its own")):
            await fill(pilot, app, str(source))
            await pilot.press("ctrl+s")
            await until(pilot, lambda words=words: words in line(app))  # type: ignore[misc]
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
        gate.set()


async def test_quitting_ends_an_import_and_leaves_nothing(
    gate: threading.Event,
    app: WorkbenchApp,
    store: ModelStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bundle = make_bundle(tmp_path / "some-bundle")
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, str(bundle), "mine")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        gate.set()
        await pilot.press("y")
        await until(pilot, lambda: not app.is_running)
    assert store.scan()[1] == []
    gc.collect()
    assert "never retrieved" not in caplog.text, "a traceback on the terminal that was given back"


# --- completing a path -------------------------------------------------------------------------


def test_completing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models", "moods", ".hidden", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "more.txt").touch()
    (tmp_path / "x.gguf").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    start = f"{tmp_path}/"
    assert complete(f"{start}m").text == f"{start}mo"
    assert complete(f"{start}m").names == ("models", "moods")
    assert complete(f"{start}mod").text.rstrip("/\\") == f"{start}models"
    assert complete("~/o").text.rstrip("/\\") == "~/other"
    assert complete("~").text.startswith("~")
    assert complete(f"{start}x").text == f"{start}x"
    assert complete(f"{start}x", (".gguf",)).text == f"{start}x.gguf"
    assert complete(f"{start}.h").text.rstrip("/\\") == f"{start}.hidden"
    assert complete(f"{start}nothing").text == f"{start}nothing"
    assert complete("/no/such/folder/x").names == ()


async def test_tab_completes_and_then_moves_on(app: WorkbenchApp, tmp_path: Path) -> None:
    (tmp_path / "bundle-one").mkdir()
    (tmp_path / "bundle-two").mkdir()
    async with app.run_test(size=NARROW) as pilot:
        await fill(pilot, app, f"{tmp_path}/bun")
        await pilot.press("end", "tab")
        await until(pilot, lambda: "bundle-one  bundle-two" in line(app))
        source = app.screen.query_one("#source")
        assert source.value.endswith("bundle-")  # type: ignore[attr-defined]
        await pilot.press("o", "tab")
        await until(pilot, lambda: "bundle-one" in source.value)  # type: ignore[attr-defined]
        await pilot.press("tab")
        await until(pilot, lambda: app.screen.focused is not source)
