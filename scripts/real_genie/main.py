"""The command: which libraries are asked what, and what the exit status says."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from scripts.real_genie import table
from scripts.real_genie.fetch import WHEELS, NotRun, tools
from tests.genie_abi.items import ITEMS
from tests.genie_abi.items.parent import NotStarted, Run, run_items

EQUAL, DIFFERENT, NOT_RUN = 0, 1, 3

_REPOSITORY: Final = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """Exit status 0: all answers are right and equal; 1: some are not; 3: the real library was not asked."""
    options = _options(arguments)
    numbers = options.items or list(ITEMS)
    runs: dict[tuple[str, str], Run] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="real-genie-") as folder:
            _ask(options.only, numbers, Path(folder), runs)
    except (NotRun, NotStarted) as error:
        _say(f"real-genie: not run: {error}")
        return NOT_RUN
    if options.json:
        options.json.write_text(json.dumps(_as_json(runs), indent=1), encoding="utf-8")
    return _report(runs)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="real-genie",
        description="Ask Qualcomm's libGenie (API 1.18 and 1.21) and our own library the same questions.",
    )
    parser.add_argument("--only", choices=("real", "ours"), help="one side, compared with nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer there too")
    parser.add_argument("items", nargs="*", metavar="ITEM", help="numbers of items; all, if none")
    options = parser.parse_args(arguments)
    unknown = [number for number in options.items if number not in ITEMS]
    if unknown:
        parser.error(f"there is no item {unknown[0]}; there are {', '.join(ITEMS)}")
    return options


def _ask(
    only: str | None,
    numbers: Sequence[str],
    folder: Path,
    runs: dict[tuple[str, str], Run],
) -> None:
    """Run the items over every library that is asked. `runs` has the real one's before ours, by version."""
    found = None if only == "ours" else tools()
    for api in WHEELS:
        if found is not None:
            path = os.pathsep.join(filter(None, (found.path, str(_REPOSITORY))))
            environ = _environ(path)
            here = folder / f"real-{api}"
            here.mkdir()
            runs["real", api] = run_items(
                found.python, found.libraries[api], numbers, here, environ
            )
        if only != "real":
            here = folder / f"ours-{api}"
            here.mkdir()
            runs["ours", api] = _ask_ours(api, numbers, here)


def _ask_ours(api: str, numbers: Sequence[str], folder: Path) -> Run:
    from tests.support.abi_library import built_library

    environ = _environ(str(_REPOSITORY)) | {"NPURUN_ABI_API": api}
    return run_items((sys.executable,), built_library(), numbers, folder, environ)


def _environ(path: str) -> dict[str, str]:
    # Bytecode of the emulated Python has no place in the checkout.
    return dict(os.environ) | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _report(runs: dict[tuple[str, str], Run]) -> int:
    for line in table.lines(runs):
        _say(line)
    faults = list(table.faults(runs))
    differences = list(table.differences(runs))
    for line in faults:
        _say(f"wrong: {line}")
    for each in differences:
        _say(
            f"DIFFERENT in {each.api}, item {each.number}, {each.label}: "
            f"real {each.real}, ours {each.ours}"
        )
    sides = {who for who, _ in runs}
    verdict = f"{len(faults)} wrong"
    if len(sides) == 2:
        verdict += f", {len(differences)} different between the real library and ours"
    _say(f"real-genie: {verdict}")
    return DIFFERENT if faults or differences else EQUAL


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _as_json(runs: dict[tuple[str, str], Run]) -> dict[str, object]:
    return {
        f"{who} {api}": {number: asdict(outcome) for number, outcome in run.outcomes.items()}
        for (who, api), run in runs.items()
    }
