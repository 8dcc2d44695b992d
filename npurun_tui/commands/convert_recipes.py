"""The models that `convert export` knows, and how a release of `qai_hub_models` is asked to compile one.

Two interfaces are in use: a module of each model, and one command for all (of the releases that were read, 0.36 to 0.56
have the first, 0.60 both, 0.65 the second). Options differ from release to release, so the release is asked with
`--help` which ones it has: that also shows, before hours are spent, whether it knows the model and can be imported.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from npurun_tui import units
from npurun_tui.commands.convert_python import Interpreter
from npurun_tui.commands.tables import write_json, write_line, write_table

DEVICE: Final = "Snapdragon X Elite CRD"
"""AI Hub's name for the machine that bundles for the X Elite and X Plus are compiled for; that of the X2 Elite is
`Snapdragon X2 Elite CRD`. What is compiled for one does not run on the other."""

_COMMAND: Final = "from qai_hub_models_cli.cli import main; main()"
_OPTION: Final = re.compile(r"--[a-z][a-z-]*[a-z]")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model that AI Hub can compile."""

    slug: str
    module: str
    """The package's own name for it."""
    arch: str
    room: int
    """Bytes on the disk of the export: its weights as 32-bit numbers, and the bundle."""
    bundle: int
    """Bytes of the bundle, about."""
    note: str


RECIPES: Final = (
    Recipe(
        "phi-3.5-mini",
        "phi_3_5_mini_instruct",
        "phi3",
        18_000_000_000,
        2_100_000_000,
        "is exported by no release since 0.36: `npurun-tui pull phi-3.5-mini` gets what Qualcomm has compiled",
    ),
    Recipe(
        "llama-v3-1-8b-instruct",
        "llama_v3_1_8b_instruct",
        "llama",
        37_000_000_000,
        4_500_000_000,
        "needs a Hugging Face login and Meta's licence; 150 GB of memory and swap are recommended",
    ),
    Recipe(
        "llama-v3-2-3b-instruct",
        "llama_v3_2_3b_instruct",
        "llama",
        15_000_000_000,
        2_200_000_000,
        "needs a Hugging Face login and Meta's licence; 80 GB of memory and swap are recommended",
    ),
    Recipe(
        "qwen-2-5-7b",
        "qwen2_5_7b_instruct",
        "qwen2",
        35_000_000_000,
        4_300_000_000,
        "is exported by releases up to 0.52; needs more than 16 GB of memory",
    ),
    Recipe(
        "qwen3-4b",
        "qwen3_4b",
        "qwen3",
        19_000_000_000,
        2_600_000_000,
        "is exported by releases from 0.52 on; 40 GB of memory and swap are recommended",
    ),
    Recipe(
        "qwen3-4b-instruct-2507",
        "qwen3_4b_instruct_2507",
        "qwen3",
        19_000_000_000,
        2_600_000_000,
        "is exported by releases from 0.52 on; 40 GB of memory and swap are recommended",
    ),
)


def write_recipes(*, json: bool) -> int:
    """Print what can be exported; returns the exit status."""
    if json:
        write_json({"recipes": [asdict(recipe) for recipe in RECIPES]})
        return 0
    rows = [(r.slug, r.arch, units.size(r.room), r.module) for r in RECIPES]
    write_table(("NAME", "ARCH", "ROOM", "MODULE OF qai_hub_models"), rows, right="c")
    write_line()
    for recipe in RECIPES:
        write_line(f"{recipe.slug} {recipe.note}.")
    return 0


def exporter(recipe: Recipe, found: Interpreter) -> list[str]:
    """What starts the export in the Python `found`, as its arguments."""
    if found.has_command:
        return ["-c", _COMMAND, "export", recipe.module]
    return ["-m", f"qai_hub_models.models.{recipe.module}.export"]


def options(help_text: str) -> frozenset[str]:
    """The options that a `--help` names."""
    return frozenset(_OPTION.findall(help_text))


def arguments(known: frozenset[str], device: str, out: Path, quant: str) -> list[str]:
    """The options of an export for `device` whose release knows `known`. `out` must not exist: the package would put
    what it makes beside a folder that does."""
    switches = ("--skip-profiling", "--skip-inferencing")
    return [
        *("--device", device),
        *("--target-runtime", "genie"),
        # a second run need not send some 30 GB again
        *(("--model-cache-mode", "enable") if "--model-cache-mode" in known else ()),
        *(switch for switch in switches if switch in known),
        *("--output-dir", str(out)),
        *(("--precision", quant) if quant else ()),
    ]
