"""What `convert export` looks at before it begins: everything that would otherwise fail after an hour."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npurun_tui import units
from npurun_tui.commands.convert_python import Interpreter, ask_python
from npurun_tui.commands.convert_recipes import Recipe, exporter, options
from npurun_tui.commands.convert_token import TOKEN, Token
from npurun_tui.errors import NpurunError
from npurun_tui.models.store import ModelStore
from npurun_tui.text import one_line


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the export needs. `mend` is what to do where it is not there."""

    key: str
    passed: bool
    words: str
    mend: str = ""


def tell(checks: Sequence[Check]) -> None:
    """Write each check as a line. Raises NpurunError where one failed."""
    for check in checks:
        mend = "" if check.passed else f" {check.mend}"
        state = "ok" if check.passed else "no"
        sys.stderr.write(f"  {state}  {one_line(f'{check.words}.{mend}', 500)}\n")
    sys.stderr.flush()
    failed = [check for check in checks if not check.passed]
    if failed:
        raise NpurunError(
            f"The export cannot begin: {one_line(failed[0].words, 300)}.", mend=failed[0].mend
        )


def python_checks(found: Interpreter) -> list[Check]:
    """Whether it is the right Python, and has the package."""
    get = "Install Python 3.11 for x86-64 (on ARM64 Windows too), and name it with --python."
    suited = Check("python", found.suited, found.words, get)
    if not found.suited:
        return [suited]
    shown = " ".join(found.command)
    words = f"{shown} has {'' if found.has_models else 'no '}qai_hub_models {found.release}".strip()
    install = f"`{shown} -m pip install qai_hub_models` gets it."
    return [suited, Check("package", found.has_models, words, install)]


def token_check(token: Token) -> Check:
    """Whether there is a token of AI Hub."""
    words = f"an API token of AI Hub is in {token.where}"
    if not token.text:
        words = "no API token of AI Hub is set"
    mend = f"Set {TOKEN}, or run `qai-hub configure`; the token is in your account there."
    return Check("token", bool(token.text), words, mend)


def place_checks(recipe: Recipe, out: Path, store: ModelStore) -> list[Check]:
    """Whether the folder can take the export, and the models' folder the model."""
    there, root = _standing(out), _standing(store.root)
    if (fault := _fault(there)) or (fault := _fault(root)):
        mend = "Name another one with -o; NPURUN_MODELS_DIR names the models' folder."
        return [Check("disk", False, fault, mend), _name(recipe, store)]
    free = shutil.disk_usage(there).free
    words = f"{units.size(free)} are free for about {units.size(recipe.room)}"
    room = Check("disk", free >= recipe.room, words, "Name a folder on a larger disk with -o.")
    return [room, *_second_disk(recipe, there, root), _name(recipe, store)]


def _standing(folder: Path) -> Path:
    """The part of the path that is there; on Windows not even the drive need be."""
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)


def _fault(folder: Path) -> str:
    if folder.is_dir() and os.access(folder, os.W_OK):
        return ""
    return f"{one_line(str(folder), 200)} is no folder that can be written to"


def _second_disk(recipe: Recipe, there: Path, root: Path) -> list[Check]:
    """Where the models lie on another volume the bundle is copied to it."""
    if root.stat().st_dev == there.stat().st_dev:
        return []
    free = shutil.disk_usage(root).free
    words = (
        f"{units.size(free)} are free where the models lie, for about {units.size(recipe.bundle)}"
    )
    mend = "Free some there; NPURUN_MODELS_DIR can name another folder."
    return [Check("models' disk", free >= recipe.bundle, words, mend)]


def _name(recipe: Recipe, store: ModelStore) -> Check:
    taken = os.path.lexists(store.layout.model(recipe.slug)) or recipe.slug in store.partials()
    words = f"{recipe.slug} is {'taken' if taken else 'free'} as a model's name"
    return Check("name", not taken, words, f"`npurun-tui rm {recipe.slug}` frees it.")


def recipe_check(recipe: Recipe, found: Interpreter, quant: str) -> tuple[Check, frozenset[str]]:
    """`(whether the package can export the model, the options that it has for it)`. Blocking: it imports PyTorch, which
    takes up to a minute where x86-64 is emulated."""
    package = f"qai_hub_models {found.release}".strip()
    words = f"{package} exports {recipe.module}"
    if not found.has_recipe:
        note = f"{recipe.slug} {recipe.note}." if recipe.note else ""
        no = f"{package} has no export of {recipe.module}"
        return Check("recipe", False, no, note or "Install another release."), frozenset()
    sys.stderr.write(f"      asking {package} how it exports {recipe.module} ...\n")
    sys.stderr.flush()
    status, said = ask_python(found, [*exporter(recipe, found), "--help"])
    known = options(said)
    if status or "--output-dir" not in known:
        last = next(
            (line for line in reversed(said.splitlines()) if line.strip()), "it says nothing"
        )
        no = f"{package} does not export {recipe.module}: {one_line(last, 160)}"
        shown = " ".join(found.command)
        install = f'{shown} -m pip install "qai_hub_models[{recipe.module.replace("_", "-")}]"'
        if found.has_command:
            install = f"{shown} -m qai_hub_models_cli.cli install {recipe.module}"
        return Check("recipe", False, no, f"Packages may be missing: `{install}`."), known
    if quant and found.has_command and "--precision" not in known:
        no = f"{package} exports {recipe.module} in one quantisation only"
        return Check("recipe", False, no, "Leave --quant out."), known
    return Check("recipe", True, words), known
