"""A crash file says where it happened and nothing of what was said; the log stays within its bounds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.worker import WorkerFailed

from npurun_tui import logs
from npurun_tui.crash import crash_report, crash_sentence, write_crash_file
from npurun_tui.errors import ModelNotFound
from npurun_tui.logs import configure_logging

SECRET = "my private prompt with token sk-12345"


def fault(text: str) -> Exception:
    """An exception with a traceback, a cause, and secrets in its texts and locals."""
    nothing: dict[str, str] = {}
    try:
        try:
            nothing[text]  # the key is in the KeyError's text
        except KeyError as error:
            raise ValueError(text) from error
    except ValueError as error:
        return error
    raise AssertionError


def test_where_it_happened_is_said_and_no_text_of_the_user() -> None:
    report = crash_report(fault(SECRET), environ={})
    assert "private" not in report
    assert "sk-12345" not in report
    assert "builtins.ValueError" in report
    assert "builtins.KeyError" in report
    assert "in fault" in report
    assert "test_crash.py:" in report


def test_a_worker_s_failure_is_traced_to_what_it_came_of() -> None:
    report = crash_report(WorkerFailed(fault(SECRET)), environ={})
    assert "textual.worker.WorkerFailed" in report
    assert "builtins.KeyError" in report
    assert "private" not in report


def test_the_home_folder_is_a_tilde() -> None:
    home = Path(__file__).parent
    report = crash_report(fault(SECRET), home=home, environ={})
    assert str(home) not in report
    assert "~/test_crash.py" in report


def test_our_own_and_the_system_s_sentences_are_kept() -> None:
    assert ": There is no such model." in crash_report(ModelNotFound("There is no such model."))
    report = crash_report(FileNotFoundError(2, SECRET, SECRET))
    assert "[2] No such file" in report
    assert "private" not in report


def test_the_terminal_is_named_and_the_rest_of_the_environment_is_not() -> None:
    environ = {"TERM": "xterm", "TMUX": "/tmp/private", "API_KEY": SECRET}
    report = crash_report(ValueError(), environ=environ)
    assert "TERM=xterm" in report
    assert "TMUX=set" in report
    assert "private" not in report


def test_exceptions_that_refer_to_each_other_end() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert crash_report(first).count("caused by") == 2


def test_the_file_is_written_and_named_in_the_sentence(tmp_path: Path) -> None:
    path = write_crash_file(fault(SECRET), tmp_path / "state")
    assert "ValueError" in path.read_text("utf-8")
    assert str(path) in crash_sentence(path)
    assert crash_sentence(None).endswith("no crash file could be written.")


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("npurun_tui")
    before = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    root.handlers.clear()
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level, ours.level, logging.raiseExceptions = before
    root.manager._clear_cache()  # type: ignore[attr-defined]


def test_the_log_is_bounded(
    tmp_path: Path, root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LIMIT", 2000)
    path = tmp_path / "state" / "ours.log"
    configure_logging(path)
    for number in range(100):
        logging.getLogger("npurun_tui.test").info("line %d with \ud83d in it", number)
    logging.getLogger("somebody.else").info("not ours")
    assert "line 99" in path.read_text("utf-8")
    assert sum(file.stat().st_size for file in path.parent.iterdir()) <= 4000
    assert "not ours" not in path.read_text("utf-8")


def test_a_log_that_cannot_be_opened_stops_nothing(
    tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    configure_logging(tmp_path / "file" / "ours.log")
    logging.getLogger("npurun_tui.test").warning("nowhere to go")
    assert capsys.readouterr() == ("", "")
