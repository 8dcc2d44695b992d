"""`python -m tests.genie_abi.items LIBRARY RESULTS SCRATCH NUMBER...`: run items in this process.

A line of JSON goes to RESULTS when an item begins and one when it ends, so that a crash has an owner. An item's
Python error ends the process like a crash: the parent starts another one for the rest.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from npurun_tui.engine.genie.library import Library
from tests.genie_abi.items import ITEMS, World


def main(arguments: list[str]) -> None:
    """Run the items that the arguments name."""
    library = Library(Path(arguments[0]))
    scratch = Path(arguments[2])
    home = Path.cwd()
    with Path(arguments[1]).open("a", encoding="utf-8") as results:

        def write(**line: object) -> None:
            results.write(json.dumps(line) + "\n")
            results.flush()

        write(version=library.version)
        for number in arguments[3:]:
            write(begins=number)
            world = World(library, scratch / f"item-{number}")
            world.scratch.mkdir(parents=True)
            ITEMS[number].run(world)
            os.chdir(home)
            write(ends=number, seen=[asdict(seen) for seen in world.seen])
    # The libraries' own clean-up at exit is not what is judged here.
    sys.stdout.flush()
    os._exit(0)


main(sys.argv[1:])
