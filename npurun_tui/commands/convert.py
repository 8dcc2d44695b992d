"""`convert manifest`: a bundle or GGUF file on this machine becomes a model that `list` shows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from npurun_tui import units
from npurun_tui.commands.model_documents import model_document
from npurun_tui.commands.pull_reports import next_step
from npurun_tui.commands.tables import write_facts, write_json, write_line
from npurun_tui.errors import UsageError
from npurun_tui.files import from_home
from npurun_tui.models.fit import fit_of_installed, machine_facts
from npurun_tui.models.importing import How, adopt, import_model
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

_INTERVAL: Final = 0.5
"""Seconds between two figures on a terminal."""


def manifest(  # noqa: PLR0913 - all but three have defaults
    paths: Paths,
    path: Path,
    *,
    how: How | Literal["in-place"],
    name: str = "",
    arch: str = "",
    quant: str = "",
    qnn_sdk: str = "",
    force: bool = False,
    json: bool = False,
) -> int:
    """Install what lies at `path`; returns the exit status.

    Raises:
        UsageError: what shall stay where it is is a file, or a folder that is called otherwise than `name`.
        ModelError, ModelFileDamaged, ModelBusy, DiskFull: as `import_model` and `adopt`.
    """
    store = ModelStore(paths.models)
    path = from_home(path).absolute()
    telling = progress_on_terminal(quiet=json)
    if how == "in-place":
        if path.is_file():
            raise UsageError(
                f"{one_line(path.name, 100)} is a file, and what is left in place is a folder.",
                mend="Name its folder, which has to lie in the models' folder; or leave --in-place out.",
            )
        if name and name.removesuffix(":latest") != path.name:
            raise UsageError(
                f"In place the folder's name, {one_line(path.name, 100)}, is the model's.",
                mend="Leave --name out, or rename the folder.",
            )
        model = adopt(
            path, store, arch=arch, quant=quant, qnn_sdk=qnn_sdk, force=force, progress=telling
        )
    else:
        model = import_model(
            path,
            store,
            name=name,
            arch=arch,
            quant=quant,
            qnn_sdk=qnn_sdk,
            how=how,
            force=force,
            progress=telling,
        )
    tell_installed(model, json=json)
    return 0


def tell_installed(model: InstalledModel, *, json: bool) -> None:
    """Say what was installed, and how to use it."""
    if json:
        write_json(model_document(model))
        return
    shown = model.manifest
    write_line(f"{model.name} is installed: {units.size(model.size)} in")
    write_line(one_line(str(model.folder), 500))
    write_line()
    facts = [
        ("backend", model.place),
        ("architecture", shown.arch),
        ("quantisation", shown.quant),
        ("context", units.count(shown.context, "token")),
        ("tiers", ", ".join(f"{tier:,}" for tier in shown.tiers)),
    ]
    facts += [("flag", flag.words) for flag in shown.flags]
    write_facts([(label, one_line(value, 300)) for label, value in facts])
    write_line(f"\n{next_step(model.name, fit_of_installed(model, machine_facts()))}")


def progress_on_terminal(*, quiet: bool) -> Callable[[int, int], None]:
    """A listener that shows how far the hashing is, on a terminal only."""
    shown = not quiet and sys.stderr.isatty()
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        if not shown or (done < total and time.monotonic() - last < _INTERVAL):
            return
        last = time.monotonic()
        percent = done * 100 // total if total else 100
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{percent:3d} % of {units.size(total)}{end}")
        sys.stderr.flush()

    return tell
