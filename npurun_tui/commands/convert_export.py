"""`convert export`: Qualcomm's AI Hub compiles a model for the NPU, and the bundle becomes a model here.

The work is done by the Python package `qai_hub_models`, in a Python of its own: it needs x86-64, as what it is made of
has no wheels for Windows on ARM64. Everything that would fail after an hour is looked at before it begins.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from npurun_tui.commands import convert_recipes
from npurun_tui.commands.convert import progress_on_terminal, tell_installed
from npurun_tui.commands.convert_checks import (
    place_checks,
    python_checks,
    recipe_check,
    tell,
    token_check,
)
from npurun_tui.commands.convert_python import Interpreter, find_interpreter, run_python
from npurun_tui.commands.convert_recipes import Recipe, arguments, exporter
from npurun_tui.commands.convert_token import Token, find_token, handed_over
from npurun_tui.commands.model_documents import model_document
from npurun_tui.commands.tables import write_json
from npurun_tui.errors import ModelError, NpurunError, UsageError
from npurun_tui.files import from_home
from npurun_tui.models.bundles import CONFIG
from npurun_tui.models.describe import examine
from npurun_tui.models.describe_values import check_given
from npurun_tui.models.importing import import_model
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for; empty texts are not given."""

    slug: str
    out: Path | None
    python: str = ""
    quant: str = ""
    qnn_sdk: str = ""
    skip_compile: bool = False
    device: str = convert_recipes.DEVICE


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
    check_given("", request.quant, request.qnn_sdk)  # not after an hour
    began = 0.0
    if not request.skip_compile:
        found, token = find_interpreter(recipe.module, request.python), find_token(os.environ)
        checks = [*python_checks(found), token_check(token), *place_checks(recipe, out, store)]
        report["checks"] = [asdict(check) for check in checks]
        tell(checks)
        last, known = recipe_check(recipe, found, request.quant)
        report["checks"].append(asdict(last))
        tell([last])
        began = time.time()
        _compile(
            exporter(recipe, found),
            arguments(known, request.device, _new(out / recipe.slug), request.quant),
            out,
            found,
            token,
        )
    return _install(_bundle_in(out, began), store, recipe, request)


def _recipe(slug: str) -> Recipe:
    for recipe in convert_recipes.RECIPES:
        if recipe.slug == slug:
            return recipe
    known = ", ".join(recipe.slug for recipe in convert_recipes.RECIPES)
    raise UsageError(
        f"There is no recipe to export {one_line(repr(slug), 60)}.", mend=f"There is: {known}."
    )


# --- the export ------------------------------------------------------------------------------------


def _new(folder: Path) -> Path:
    """`folder`, with a number where something is there already."""
    names = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(each for each in chain((folder,), names) if not os.path.lexists(each))


def _compile(
    command: list[str], options: list[str], out: Path, found: Interpreter, token: Token
) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The package keeps most of what it makes among the temporary files, for which the disk of `out` was looked at.
        scratch = TemporaryDirectory(dir=out, prefix=".tmp-", ignore_cleanup_errors=True)
        with handed_over(token, os.environ) as more, scratch as place:
            more.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), place))
            status = run_python(
                found, [*command, *options], folder=out, secret=token.text, more=more
            )
    except OSError as error:
        raise NpurunError(
            f"{one_line(str(error.filename or out), 300)} cannot be written: {error.strerror or error}."
        ) from error
    if status:
        raise NpurunError(
            f"The export ended with status {status}; its own words are above.",
            mend="The job may have succeeded in the cloud: `--skip-compile` installs what lies in the folder.",
        )


def _bundle_in(out: Path, began: float) -> Path:
    """The bundle below `out`: the one that was made since `began` (seconds since 1970), or any where that is 0.

    Raises:
        ModelError: there is none, or it cannot be told which is meant.
    """
    shown = one_line(str(out), 300)
    try:
        every = [path.parent for path in _configs(out, 0)]
        # two seconds: the coarsest clock of a file system (FAT)
        found = [root for root in every if not began or _latest(root) >= began - 2]
        packed = any(out.rglob("*.zip")) if out.is_dir() else False
    except OSError as error:
        raise ModelError(f"{shown} cannot be read: {error.strerror or error}.") from error
    if not found:
        mend = "Unpack the zip that is there, and use --skip-compile." if packed else ""
        old = f" but for {len(every)} from before, which `--skip-compile` installs" if every else ""
        raise ModelError(
            f"There is no {'new ' if every else ''}Genie bundle in {shown}{old}.", mend=mend
        )
    if len(found) > 1:
        raise ModelError(
            f"There are {len(found)} Genie bundles in {shown}.",
            mend="Install the one that is meant with `npurun-tui convert manifest`.",
        )
    return found[0]


def _latest(root: Path) -> float:
    """When a file of the bundle was last written or put there, in seconds since 1970."""
    facts = [entry.stat() for entry in root.iterdir()]
    return max(max(each.st_mtime, each.st_ctime) for each in facts)


def _configs(folder: Path, depth: int) -> list[Path]:
    if depth > _DEEPEST or not folder.is_dir():
        return []
    if (folder / CONFIG).is_file():
        return [folder / CONFIG]
    # Hidden is what an export that was killed had among its temporary files.
    below = sorted(
        entry
        for entry in folder.iterdir()
        if not entry.is_symlink() and not entry.name.startswith(".")
    )
    return [config for entry in below for config in _configs(entry, depth + 1)]


def _install(bundle: Path, store: ModelStore, recipe: Recipe, request: Request) -> InstalledModel:
    """The bundle as a model. What its files say goes before the recipe; links where the volume has them."""
    said = examine(bundle, name=recipe.slug).manifest
    if not (request.quant or said.quant):
        raise ModelError(
            "The bundle is there, and no file of it says its quantisation.",
            mend="Add --skip-compile and, for example, `--quant w4a16` to the same command.",
        )
    return import_model(
        bundle,
        store,
        name=recipe.slug,
        arch=said.arch or recipe.arch,
        quant=request.quant,
        qnn_sdk=request.qnn_sdk,
        how="share",
        progress=progress_on_terminal(quiet=False),
    )
