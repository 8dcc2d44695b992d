"""The way in: what is asked for, and in which words a failure is told.

Without arguments the workbench is opened straight away: argparse and the table of commands would cost its first paint
10 ms. Exit status: 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from npurun_tui.errors import NpurunError, UsageError
from npurun_tui.settings import Paths, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    try:
        _prepare_streams()
        arguments = [_as_utf_8(a) for a in sys.argv[1:]] if arguments is None else arguments
        status = _run(arguments)
        sys.stdout.flush()
    except NpurunError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
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
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding=stream.encoding if stream.isatty() else "utf-8", errors="replace"
            )


def _as_utf_8(argument: str) -> str:
    """What was typed, also where the locale's encoding could not say it (PEP 383)."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        from npurun_tui.launch import open_workbench

        paths = _paths()
        return open_workbench(paths, _settings(paths), None)
    from npurun_tui.commandline import parse

    command = parse(arguments)
    paths = _paths()
    return command(paths, _settings(paths))


def _paths() -> Paths:
    try:
        return Paths.resolve()
    except RuntimeError as error:  # a `~name` in the environment, or a user without a home
        raise UsageError(
            f"The folders of this user cannot be found: {error}",
            mend="Set NPURUN_TUI_HOME and NPURUN_MODELS_DIR to absolute paths.",
        ) from error


def _settings(paths: Paths) -> Settings:
    settings = Settings.load(paths.config)
    for warning in settings.warnings:
        _say(warning)
    return settings


def _say(text: str) -> None:
    print(f"npurun-tui: {text}", file=sys.stderr)  # noqa: T201


def _fault(error: Exception) -> int:
    from npurun_tui.crash import crash_sentence, write_crash_file

    try:
        report = write_crash_file(error, Paths.resolve().state)
    except (OSError, RuntimeError):
        report = None
    print(crash_sentence(report), file=sys.stderr)  # noqa: T201
    return 1


def _abandon_stdout() -> int:
    """Leave without Python's complaint when it flushes a stdout that nobody reads or that is full."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    return 1
