"""The tests.

Where Python is told to keep no bytecode (`PYTHONDONTWRITEBYTECODE`, as in many containers), theirs is kept in pytest's
own cache folder: without, every worker and every program that a test starts compiles all of its modules again
(collecting cost 19 CPU seconds instead of 5). Nothing is written beside the sources.
"""

import os
import sys
from pathlib import Path

if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    # For xdist's workers and for the programs under test.
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
