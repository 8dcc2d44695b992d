"""A thousand crashes, hangs and poisoned dialogs: no message is lost, no process is left, the next answer always comes.

    uv run python -m benchmarks.soak [--faults 1000] [--seed 1]

It needs a C compiler, for the library with Genie's interface; what is checked after each fault is in
`tests/support/soak.py`. Some minutes: each hang costs a second of silence, each crash a new process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from tests.support.abi_library import built_library
from tests.support.soak import SoakFailed, soak

MOST_DESCRIPTORS = 4
"""Above those at the beginning: a process that is just ending has some."""


def main() -> int:
    """Print what happened; 1 where something that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["NPURUN_GENIE_LIB"] = str(built_library())
    print(report.machine())
    with tempfile.TemporaryDirectory() as folder:
        try:
            tally = soak(Path(folder), options.faults, options.seed)
        except SoakFailed as failure:
            print(f"FAILED: {failure}")
            return 1
    total = sum(tally.faults.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in tally.faults.most_common())
    print(f"{total} faults in {tally.seconds:.0f} s: {kinds}")
    print(f"asked again after a broken answer: {tally.asked_again}")
    for note, count in tally.noted.most_common():
        print(f"{count} turns said: {note}")
    print(f"engine processes: {tally.processes}, left running: {tally.left_running}")
    print("lost messages: 0, missing answers: 0")
    kept = report.verdict("descriptors left open", tally.descriptors, MOST_DESCRIPTORS)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
