"""`convert export`: Qualcomm's AI Hub compiles a model for the NPU, and the bundle becomes a model here.

The work is done by the Python package `qai_hub_models`, in a Python of its own: it needs x86-64 and 3.10 or 3.11, as
PyTorch has no wheels for Windows on ARM64. Everything that would fail after an hour is looked at before it begins.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui import units
from npurun_tui.commands.convert import progress_on_terminal, tell_installed
from npurun_tui.commands.convert_python import Interpreter, find_interpreter, run_python
from npurun_tui.commands.model_documents import model_document
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.errors import ModelError, NpurunError, UsageError
from npurun_tui.files import from_home
from npurun_tui.models.bundles import CONFIG
from npurun_tui.models.describe import examine
from npurun_tui.models.importing import How, import_model
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

DEVICE: Final = "Snapdragon X Elite CRD"
"""AI Hub's name for the machine that bundles for the X Elite and X Plus are compiled for."""

TOKEN: Final = "QAI_HUB_API_TOKEN"  # noqa: S105 - the name of a variable
_CLIENT: Final = Path(".qai_hub", "client.ini")
_TOKEN_LINE: Final = re.compile(r"^\s*api_token\s*=\s*(\S+)", re.MULTILINE)
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model that AI Hub can compile. The facts are those of the Rust program's sidecar."""

    slug: str
    module: str
    """The package's own name for it."""
    arch: str
    room: int
    """Bytes on the disk of the export: its weights as 32-bit numbers, and the bundle."""
    note: str


RECIPES: Final = (
    Recipe("phi-3.5-mini", "phi_3_5_mini_instruct", "phi3", 18_000_000_000, ""),
    Recipe(
        "llama-v3-1-8b-instruct",
        "llama_v3_1_8b_instruct",
        "llama",
        37_000_000_000,
        "needs a Hugging Face login and Meta's licence; more than 16 GB of memory",
    ),
    Recipe(
        "qwen-2-5-7b",
        "qwen2_5_7b_instruct",
        "qwen2",
        35_000_000_000,
        "needs more than 16 GB of memory",
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for; empty texts are not given."""

    slug: str
    out: Path | None
    python: str = ""
    quant: str = ""
    qnn_sdk: str = ""
    skip_compile: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the export needs. `mend` is what to do where it is not there."""

    key: str
    passed: bool
    words: str
    mend: str = ""


def write_recipes(*, json: bool) -> int:
    """Print what can be exported; returns the exit status."""
    if json:
        write_json({"recipes": [asdict(recipe) for recipe in RECIPES]})
        return 0
    rows = [(r.slug, r.arch, units.size(r.room), r.module) for r in RECIPES]
    write_table(("NAME", "ARCH", "ROOM", "MODULE OF qai_hub_models"), rows, right="c")
    for recipe in RECIPES:
        if recipe.note:
            write_line(f"\n{recipe.slug} {recipe.note}.")
    return 0


def export(paths: Paths, request: Request, *, json: bool) -> int:
    """Check, compile, install; returns the exit status. Ctrl+C ends the compiler's process and all it started.

    Raises:
        UsageError: there is no such recipe, or no folder was named.
        NpurunError: a check failed, the export failed, or what it left is no bundle.
    """
    recipe = _recipe(request.slug)
    if request.out is None:
        raise UsageError("convert export needs a folder for the bundle.", mend="Add -o DIR.")
    out = from_home(request.out).absolute()
    report: dict[str, Any] = {"slug": recipe.slug, "checks": [], "model": None}
    try:
        model = _export(recipe, request, out, ModelStore(paths.models), report)
    except NpurunError as error:
        if json:
            write_json({**report, "ok": False, "error": error.message, "mend": error.mend})
        raise
    if json:
        write_json({**report, "model": model_document(model), "ok": True})
    else:
        tell_installed(model, json=False)
    return 0


def _export(
    recipe: Recipe, request: Request, out: Path, store: ModelStore, report: dict[str, Any]
) -> InstalledModel:
    began = 0.0
    if not request.skip_compile:
        found, token = find_interpreter(request.python), _token(os.environ, Path.home())
        checks = [*_python_checks(found), _token_check(token), *_place_checks(recipe, out, store)]
        report["checks"] = [asdict(check) for check in checks]
        _tell(checks)
        began = time.time()
        _compile(recipe, request, out, found, token)
    return _install(_bundle_in(out, began), store, recipe, request)


def _recipe(slug: str) -> Recipe:
    for recipe in RECIPES:
        if recipe.slug == slug:
            return recipe
    known = ", ".join(recipe.slug for recipe in RECIPES)
    raise UsageError(
        f"There is no recipe to export {one_line(repr(slug), 60)}.", mend=f"There is: {known}."
    )


# --- before it begins ------------------------------------------------------------------------------


def _tell(checks: list[Check]) -> None:
    """Write each check as a line. Raises NpurunError where one failed."""
    for check in checks:
        mend = "" if check.passed else f" {check.mend}"
        state = "ok" if check.passed else "no"
        sys.stderr.write(f"  {state}  {one_line(f'{check.words}.{mend}', 500)}\n")
    sys.stderr.flush()
    failed = [check for check in checks if not check.passed]
    if failed:
        raise NpurunError(
            f"The export cannot begin: {one_line(failed[0].words, 200)}.", mend=failed[0].mend
        )


def _python_checks(found: Interpreter) -> list[Check]:
    get = "Install Python 3.11 for x86-64 (on ARM64 Windows too), and name it with --python."
    suited = Check("python", found.suited, found.words, get)
    if not found.suited:
        return [suited]
    shown = " ".join(found.command)
    words = f"{shown} has {'' if found.has_models else 'no '}qai_hub_models"
    install = f"`{shown} -m pip install qai_hub_models` gets it."
    return [suited, Check("package", found.has_models, words, install)]


def _token_check(token: str) -> Check:
    words = "an API token of AI Hub is set" if token else "no API token of AI Hub is set"
    mend = f"Set {TOKEN}, or run `qai-hub configure`; the token is in your account there."
    return Check("token", bool(token), words, mend)


def _place_checks(recipe: Recipe, out: Path, store: ModelStore) -> list[Check]:
    there = next(folder for folder in (out, *out.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    words = f"{units.size(free)} are free for about {units.size(recipe.room)}"
    room = Check("disk", free >= recipe.room, words, "Name a folder on a larger disk with -o.")
    taken = os.path.lexists(store.layout.model(recipe.slug))
    words = f"{recipe.slug} is {'taken' if taken else 'free'} as a model's name"
    return [room, Check("name", not taken, words, f"`npurun-tui rm {recipe.slug}` frees it.")]


def _token(environ: Mapping[str, str], home: Path) -> str:
    """The token, only to see that there is one and to keep it out of what is shown; "" where there is none."""
    if token := environ.get(TOKEN, "").strip():
        return token
    try:
        with (home / _CLIENT).open("rb") as file:
            text = file.read(1 << 16).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    match = _TOKEN_LINE.search(text)
    return match[1] if match else ""


# --- the export ------------------------------------------------------------------------------------


def _compile(recipe: Recipe, request: Request, out: Path, found: Interpreter, token: str) -> None:
    arguments = [
        *("-m", f"qai_hub_models.models.{recipe.module}.export"),
        *("--device", DEVICE),
        *("--target-runtime", "genie"),
        *("--model-cache-mode", "enable"),  # a second run need not send some 30 GB again
        *("--skip-profiling", "--skip-inferencing"),
        *("--output-dir", str(out)),
        *(("--precision", request.quant) if request.quant else ()),
    ]
    out.mkdir(parents=True, exist_ok=True)
    status = run_python(found, arguments, folder=out, secret=token)
    if status:
        raise NpurunError(
            f"The export ended with status {status}; its own words are above.",
            mend="The job may have succeeded in the cloud: `--skip-compile` installs what lies in the folder.",
        )


def _bundle_in(out: Path, began: float) -> Path:
    """The bundle below `out`: of several the one that was made since `began` (seconds since 1970).

    Raises:
        ModelError: there is none, or it cannot be told which is meant.
    """
    found = [path.parent for path in _configs(out, 0)]
    shown = one_line(str(out), 300)
    if len(found) > 1:
        # two seconds: the coarsest clock of a file system (FAT)
        new = [root for root in found if (root / CONFIG).stat().st_mtime >= began - 2]
        found = new if began and new else found
    if not found:
        packed = any(out.glob("*.zip")) if out.is_dir() else False
        mend = "Unpack the zip that is there, and use --skip-compile." if packed else ""
        raise ModelError(f"There is no Genie bundle in {shown}.", mend=mend)
    if len(found) > 1:
        raise ModelError(
            f"There are {len(found)} Genie bundles in {shown}.",
            mend="Install the one that is meant with `npurun-tui convert manifest`.",
        )
    return found[0]


def _configs(folder: Path, depth: int) -> list[Path]:
    if depth > _DEEPEST or not folder.is_dir():
        return []
    if (folder / CONFIG).is_file():
        return [folder / CONFIG]
    below = sorted(entry for entry in folder.iterdir() if not entry.is_symlink())
    return [config for entry in below for config in _configs(entry, depth + 1)]


def _install(bundle: Path, store: ModelStore, recipe: Recipe, request: Request) -> InstalledModel:
    """The bundle as a model. What its files say goes before the recipe; links where the volume is the same."""
    said = examine(bundle, name=recipe.slug).manifest
    store.root.mkdir(parents=True, exist_ok=True)
    how: How = "link" if bundle.stat().st_dev == store.root.stat().st_dev else "copy"
    return import_model(
        bundle,
        store,
        name=recipe.slug,
        arch=said.arch or recipe.arch,
        quant=request.quant,
        qnn_sdk=request.qnn_sdk,
        how=how,
        progress=progress_on_terminal(quiet=False),
    )
