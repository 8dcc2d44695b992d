"""Runs items in child processes and gathers what they saw. A crash costs the item that it happened in, nothing more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.genie_abi.items import Seen

SECONDS: Final = 120
"""For one child process; emulated, all items take less than 20."""


class NotStarted(Exception):
    """No item could be run at all: the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item."""

    number: str
    seen: tuple[Seen, ...] = ()
    failure: str = ""
    """Why the process ended in it; "" where the item ended itself."""

    @property
    def wrong(self) -> list[Seen]:
        """Observations that are not as they should be."""
        return [seen for seen in self.seen if not seen.right]


@dataclass(frozen=True, slots=True)
class Run:
    """All items over one library."""

    version: str
    outcomes: dict[str, Outcome]


def run_items(
    python: Sequence[str],
    library: Path,
    numbers: Sequence[str],
    folder: Path,
    environ: Mapping[str, str] = os.environ,
) -> Run:
    """Run the items over `library` with the Python that the command `python` is; `folder` must be empty.

    Raises:
        NotStarted: the library cannot be opened, or the Python not be started.
    """
    outcomes: dict[str, Outcome] = {}
    version = ""
    pending = list(numbers)
    while pending:
        here = folder / f"process-{len(outcomes)}"
        here.mkdir()
        ending = _run_child(python, library, pending, here, environ)
        lines = _lines(here / "results")
        if not lines:
            raise NotStarted(ending)
        version = ".".join(map(str, lines[0]["version"]))
        _gather(lines, outcomes, ending)
        remaining = [number for number in pending if number not in outcomes]
        if len(remaining) == len(pending):
            raise NotStarted(ending)
        pending = remaining
    return Run(version, outcomes)


def _gather(lines: list[dict[str, Any]], outcomes: dict[str, Outcome], ending: str) -> None:
    """Enter the items that ended, and the one that the process ended in."""
    begun = ""
    for line in lines:
        if "begins" in line:
            begun = line["begins"]
        elif "ends" in line:
            seen = tuple(Seen(**each) for each in line["seen"])
            outcomes[line["ends"]] = Outcome(line["ends"], seen)
            begun = ""
    if begun:
        outcomes[begun] = Outcome(begun, failure=ending)


def _run_child(
    python: Sequence[str],
    library: Path,
    numbers: Sequence[str],
    here: Path,
    environ: Mapping[str, str],
) -> str:
    """One process; how it ended, in words."""
    arguments = [str(library), str(here / "results"), str(here / "scratch"), *numbers]
    with (here / "stderr").open("w+b") as errors, (here / "stdout").open("wb") as output:
        # A file for stderr, opened for reading too: the binding reads there what a call has written.
        try:
            status = subprocess.run(
                [*python, "-m", "tests.genie_abi.items", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=dict(environ),
                cwd=here,
                timeout=SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return f"no end after {SECONDS} s"
        except OSError as error:
            return f"{python[0]} cannot be started: {error.strerror}"
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 2000))
        last = errors.read().decode("utf-8", "replace").strip().splitlines()[-3:]
    return f"{_ended(status)}: {' / '.join(last)}" if last else _ended(status)


def _ended(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of the results."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
