"""The way in: what is asked for, and in which words a failure is told.

Without arguments the workbench is opened straight away: argparse and the table of commands would cost its first paint
10 ms. Exit status: 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted.

This module imports nothing that Python has not loaded by itself, our own modules included: an interrupt while they
are read would otherwise come before `main` could take it, and end as a traceback.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False  # type checkers know the name; `typing` itself costs 3 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, Literal, TextIO

    from npurun_tui.settings import Paths, Settings


_STREAMS: Final[tuple[tuple[str, Literal["r", "w"]], ...]] = (
    ("stdin", "r"),
    ("stdout", "w"),
    ("stderr", "w"),
)
"""In the order of their descriptors: opening takes the lowest that is free, so each gets its own back."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        return 130


def _main(arguments: Sequence[str] | None) -> int:
    try:
        _prepare_streams()
        status = _run([_as_utf_8(a) for a in sys.argv[1:]] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _abandon_stdout()
    except OSError as error:
        _say(f"The system refuses: {error}.")
        return _abandon_stdout()
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback ever reaches a user
        return _fault(error)
    return status


def _prepare_streams() -> None:
    """Speak UTF-8 to pipes and files whatever the locale is, and to nobody where a stream is closed.

    A model's emoji must not end a script on Windows (code page 1252) or under `LC_ALL=C`; and with stderr closed,
    what belongs there must not turn up in stdout, where `print` would put it.
    """
    for name, mode in _STREAMS:
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nobody(mode))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding=stream.encoding if stream.isatty() else "utf-8", errors="replace"
            )


def _nobody(mode: Literal["r", "w"]) -> TextIO:
    """A stream without another end; never closed, since it stands in for one of the process's own."""
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123


def _as_utf_8(argument: str) -> str:
    """What was typed, also where the locale's encoding could not say it (PEP 383)."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _run(arguments: Sequence[str]) -> int:
    from npurun_tui.errors import NpurunError

    try:
        return _workbench() if not arguments else _command(arguments)
    except NpurunError as error:
        _say(str(error))
        return error.exit_code


def _workbench() -> int:
    from npurun_tui.launch import open_workbench

    paths = _paths()
    return open_workbench(paths, _settings(paths), None)


def _command(arguments: Sequence[str]) -> int:
    from npurun_tui.commandline import parse

    try:
        command = parse(arguments)
    except SystemExit as end:  # --help and --version; what they wrote is flushed in `_main`
        return int(end.code or 0)
    paths = _paths()
    return command(paths, _settings(paths))


def _paths() -> Paths:
    from npurun_tui.errors import UsageError
    from npurun_tui.settings import Paths

    try:
        return Paths.resolve()
    except RuntimeError as error:  # a `~name` in the environment, or a user without a home
        raise UsageError(
            f"The folders of this user cannot be found: {error}",
            mend="Set NPURUN_TUI_HOME and NPURUN_MODELS_DIR to absolute paths.",
        ) from error


def _settings(paths: Paths) -> Settings:
    from npurun_tui.settings import Settings

    settings = Settings.load(paths.config)
    for warning in settings.warnings:
        _say(warning)
    return settings


def _say(text: str) -> None:
    _complain(f"npurun-tui: {text}")


def _complain(line: str) -> None:
    """A line on stderr. Where stderr itself is full, nothing is left to complain to."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        sys.stderr = _nobody("w")


def _fault(error: Exception) -> int:
    from npurun_tui.crash import crash_sentence, write_crash_file
    from npurun_tui.settings import Paths

    try:
        report = write_crash_file(error, Paths.resolve().state)
    except Exception:  # noqa: BLE001 - a second fault must not hide the first
        report = None
    _complain(crash_sentence(report))
    return 1


def _abandon_stdout() -> int:
    """Leave without Python's complaint when it flushes a stdout that nobody reads or that is full."""
    sys.stdout = _nobody("w")
    return 1
