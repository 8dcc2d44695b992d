"""Folders, `config.toml` and remembered choices: whatever is in them, the program starts."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from npurun_tui.files import write_atomic
from npurun_tui.settings import Paths, Remembered, Settings


def load(tmp_path: Path, text: str | bytes, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Settings.load(path, environ or {})


def test_one_folder_for_everything(tmp_path: Path) -> None:
    paths = Paths.resolve({"NPURUN_TUI_HOME": str(tmp_path)})
    owned = [paths.models, paths.database, paths.log, paths.engine_log, paths.remembered]
    assert all(path.is_relative_to(tmp_path) for path in [*owned, paths.config])
    assert list(tmp_path.iterdir()) == [], "asking creates nothing"


def test_the_models_folder_is_the_rust_program_s(tmp_path: Path) -> None:
    environ = {"NPURUN_TUI_HOME": str(tmp_path / "home"), "NPURUN_MODELS_DIR": str(tmp_path / "m")}
    assert Paths.resolve(environ).models == tmp_path / "m"
    assert Paths.resolve({}).models.parts[-2:] == ("npurun", "models")


def test_a_missing_file_is_the_defaults(tmp_path: Path) -> None:
    assert Settings.load(tmp_path / "none.toml", {}) == Settings()


def test_what_stands_in_the_file_counts(tmp_path: Path) -> None:
    settings = load(
        tmp_path, 'theme = "nord"\nmax_queue = 0\nload_timeout = 12.5\nanswer_timeout = 60'
    )
    assert settings.theme == "nord"
    assert settings.max_queue == 0
    assert (settings.load_timeout, settings.answer_timeout) == (12.5, 60)
    assert settings.warnings == ()


@pytest.mark.parametrize(
    "line",
    [
        "max_queue = -1",
        "max_queue = 1.5",
        "max_queue = true",
        'max_queue = "8"',
        "theme = 1",
        "load_timeout = 0",
        "load_timeout = -3.0",
        "load_timeout = nan",
        'load_timeout = "long"',
        "unheard_of = 1",
        "warnings = []",
    ],
)
def test_a_wrong_value_is_named_and_the_default_stands(tmp_path: Path, line: str) -> None:
    settings = load(tmp_path, f"{line}\n[section]\nx = 1\n")
    assert settings == Settings()
    assert any(line.split(maxsplit=1)[0] in warning for warning in settings.warnings)


@pytest.mark.parametrize("content", ["max_queue =", b"\xff\xfe", "a" * 10 + "\x00"])
def test_a_broken_file_is_the_defaults_with_a_warning(tmp_path: Path, content: str | bytes) -> None:
    settings = load(tmp_path, content)
    assert settings == Settings()
    assert len(settings.warnings) == 1
    assert "the defaults apply" in settings.warnings[0]


def test_a_folder_in_the_file_s_place_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    assert Settings.load(tmp_path / "config.toml", {}).warnings != ()


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, "cpu_threads = 2", {"NPURUN_CPU_THREADS": "3"}).cpu_threads == 3


@pytest.mark.parametrize("value", ["many", "-1", "1.5", "٣"])
def test_a_senseless_environment_is_named(tmp_path: Path, value: str) -> None:
    settings = load(tmp_path, "cpu_threads = 2", {"NPURUN_CPU_THREADS": value})
    assert settings.cpu_threads == 2
    assert "NPURUN_CPU_THREADS" in settings.warnings[0]


def test_two_threads_lose_nothing_of_each_other_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, second = tmp_path / "state" / "remembered.json", threading.Event()

    def slow_at_first(target: Path, data: bytes) -> None:
        if b"model" in data:
            write_atomic(target, data)
            second.set()
        else:
            second.wait(0.2)
            write_atomic(target, data)

    monkeypatch.setattr("npurun_tui.settings.write_atomic", slow_at_first)
    remembered = Remembered(path)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(remembered.set, ("theme", "model"), ("nord", "smollm2")))
    assert Remembered(path).get("theme") == "nord"
    assert Remembered(path).get("model") == "smollm2"


def test_choices_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state" / "remembered.json"
    remembered = Remembered(path)
    assert remembered.get("theme") == ""
    remembered.set("theme", "nord")
    remembered.set("model", "smollm2")
    assert Remembered(path).get("theme") == "nord"
    assert Remembered(path).get("model") == "smollm2"


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b'{"theme": 5}', b"9" * 5000])
def test_an_unreadable_memory_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "remembered.json"
    path.write_bytes(content)
    remembered = Remembered(path)
    assert remembered.get("theme") == ""
    remembered.set("theme", "nord")
    assert Remembered(path).get("theme") == "nord"


def test_the_same_choice_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "remembered.json"
    remembered = Remembered(path)
    remembered.set("theme", "nord")
    os.utime(path, (1, 1))
    remembered.set("theme", "nord")
    assert path.stat().st_mtime == 1


@pytest.mark.parametrize(
    "text",
    [
        "context = " + "9" * 5000,
        "a = " + "[" * 5000,
        "context = 99999999999",
        "cpu_threads = 1000000",
        "load_timeout = " + "9" * 4000,
        "answer_timeout = inf",
        '"' + "x" * 5000 + '" = 1',
    ],
)
def test_a_hostile_config_is_a_warning(tmp_path: Path, text: str) -> None:
    settings = load(tmp_path, text)
    assert settings == Settings()
    assert len(settings.warnings) == 1
    assert len(settings.warnings[0]) < len(str(tmp_path)) + 200


@pytest.mark.parametrize("value", ["1025", "9999", "9" * 5000])
def test_too_many_threads_in_the_environment(tmp_path: Path, value: str) -> None:
    settings = load(tmp_path, "", {"NPURUN_CPU_THREADS": value})
    assert settings.cpu_threads == 0
    assert len(settings.warnings[0]) < 200
