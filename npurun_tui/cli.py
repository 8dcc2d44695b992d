"""The way in: what is asked for, and in which words a failure is told.

Without arguments the workbench is opened straight away: argparse and the table of commands would cost its first paint
10 ms. Exit status: 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from npurun_tui.errors import NpurunError
from npurun_tui.settings import Paths, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    _use_utf_8()
    arguments = [_as_utf_8(a) for a in sys.argv[1:]] if arguments is None else arguments
    paths = Paths.resolve()
    try:
        return _run(arguments, paths)
    except NpurunError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback ever reaches a user
        return _fault(error, paths)


def _use_utf_8() -> None:
    """Speak UTF-8 to pipes and files whatever the locale is; a terminal gets what it can show.

    A model's emoji must not end a script on Windows (code page 1252) or under `LC_ALL=C`.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding=stream.encoding if stream.isatty() else "utf-8", errors="replace"
            )


def _as_utf_8(argument: str) -> str:
    """What was typed, also where the locale's encoding could not say it (PEP 383)."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _run(arguments: Sequence[str], paths: Paths) -> int:
    if not arguments:
        from npurun_tui.launch import open_workbench

        return open_workbench(paths, _settings(paths), None)
    from npurun_tui.commandline import parse

    command = parse(arguments)
    return command(paths, _settings(paths))


def _settings(paths: Paths) -> Settings:
    settings = Settings.load(paths.config)
    for warning in settings.warnings:
        _say(warning)
    return settings


def _say(text: str) -> None:
    print(f"npurun-tui: {text}", file=sys.stderr)  # noqa: T201


def _fault(error: Exception, paths: Paths) -> int:
    from npurun_tui.crash import crash_sentence, write_crash_file

    try:
        report = write_crash_file(error, paths.state)
    except OSError:
        report = None
    print(crash_sentence(report), file=sys.stderr)  # noqa: T201
    return 1


def _reader_gone() -> int:
    """`npurun-tui list | head`: leave quietly, and keep Python from complaining when it flushes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
