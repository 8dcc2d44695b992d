"""Two hundred pulls, each killed at a random moment and gone on with: every model whole, nothing left, next to nothing
fetched twice.

    uv run python -m benchmarks.pull_kills [--kills 200] [--seed 1] [--size-mb 64]

POSIX only. What is checked after each kill is in `tests/support/kills.py`. Some twenty minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from tests.support.kills import KillFailed, kill_pulls

MOST_TWICE = 0.01


def main() -> int:
    """Print what happened; 1 where something that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size-mb", type=int, default=64)
    parser.add_argument("--most-twice", type=float, default=MOST_TWICE, help="a share of all bytes")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory() as folder:
        try:
            tally = kill_pulls(
                Path(folder), options.kills, options.seed, weights=options.size_mb * 1_000_000
            )
        except KillFailed as failure:
            print(f"FAILED: {failure}")
            return 1
    when = ", ".join(f"{count} {state}" for state, count in tally.kills.most_common())
    print(f"{sum(tally.kills.values())} kills in {tally.seconds:.0f} s: {when}")
    print("models that differ: 0, leftovers: 0")
    print(f"fetched twice at worst: {tally.worst:,} bytes of {tally.size:,}")
    kept = report.verdict("fetched twice, of all bytes", tally.share, options.most_twice)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
