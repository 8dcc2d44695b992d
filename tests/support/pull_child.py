"""`pull` as a program of its own, of an entry that is not in the catalog.

Run as `python -m tests.support.pull_child ENTRY ROOT`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from npurun_tui.commands.pull import PullRequest, pull_entry
from npurun_tui.commands.pull_reports import PlainReport
from npurun_tui.errors import NpurunError
from npurun_tui.models.store import ModelStore
from tests.support.tiny_model import read_entry


def main() -> int:
    """What the command line does, for an entry from a file."""
    entry = read_entry(Path(sys.argv[1]))
    try:
        return pull_entry(
            entry, ModelStore(Path(sys.argv[2])), PlainReport(entry.name), PullRequest(entry.name)
        )
    except NpurunError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
