"""`convert inspect`: a model's manifest and whether its files are what it says, or what a manifest would hold."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from npurun_tui import units
from npurun_tui.commands.models import whole_again
from npurun_tui.commands.tables import write_facts, write_json, write_line
from npurun_tui.engine.genie.processor import processor_of
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.errors import HashMismatch, ModelError, ModelNotFound, UsageError
from npurun_tui.files import from_home
from npurun_tui.models.describe import Description, examine
from npurun_tui.models.manifest import FILE_NAME, NO_SDK, Manifest, main_file
from npurun_tui.models.names import fault_of_name
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.models.transfer import Item, items_below
from npurun_tui.models.trees import tree_size
from npurun_tui.models.verify import Verdict, verify
from npurun_tui.settings import Paths
from npurun_tui.text import one_line


def inspect(paths: Paths, target: str, *, check: bool, json: bool) -> int:
    """Print what `target` is: an installed model's name, a folder with `npurun.json`, a bundle or a GGUF file.

    With `check` the files are hashed and compared with the manifest. Returns the exit status.

    Raises:
        ModelNotFound, ManifestInvalid, ModelFileDamaged: there is no such thing, or it cannot be used.
        HashMismatch: a file is not what the manifest says; printed all the same.
    """
    model = _installed(ModelStore(paths.models), target)
    mend = whole_again(paths, model.name) if model is not None else ""
    if model is None:
        if not target.strip():
            raise UsageError("convert inspect needs a model's name, a folder or a .gguf file.")
        path = from_home(target).absolute()
        path = path.parent if path.name == FILE_NAME else path
        if not os.path.lexists(path / FILE_NAME):
            return _tell_description(examine(path), json=json)
        model = _lying(path)
    return _tell_model(model, mend, check=check, json=json)


def _installed(store: ModelStore, target: str) -> InstalledModel | None:
    """The installed model called `target`; None where it is a path.

    Raises:
        ModelNotFound: it is neither.
    """
    if fault_of_name(target.removesuffix(":latest")):
        return None
    try:
        return store.get(target)
    except ModelNotFound as error:
        if os.path.lexists(target):
            return None
        raise ModelNotFound(
            error.message, mend="There is no file or folder of that name."
        ) from None


def _lying(folder: Path) -> InstalledModel:
    """The model whose manifest lies in `folder`, wherever that is."""
    manifest = Manifest.read(folder)
    main_file(manifest, folder)
    return InstalledModel(manifest, folder, tree_size(folder), _place(manifest, folder))


def _place(manifest: Manifest, folder: Path) -> str:
    """What it is made to run on: a Genie bundle may be one for the CPU."""
    if manifest.backend == "genie":
        return f"{processor_of(folder / manifest.files.main)} (Genie)"
    return BACKEND_LABELS[manifest.backend]


# --- a manifest ----------------------------------------------------------------------------------


def _tell_model(model: InstalledModel, mend: str, *, check: bool, json: bool) -> int:
    verdicts = _verdicts(model, quiet=json) if check else None
    faults = [path for path, verdict in (verdicts or {}).items() if verdict is not Verdict.SAME]
    if json:
        document: dict[str, Any] = {
            "kind": "manifest",
            "path": str(model.folder),
            "size": model.size,
            "manifest": model.manifest.to_json(),
            "ok": not faults,
        }
        if verdicts is not None:
            document["verification"] = {path: verdict.value for path, verdict in verdicts.items()}
        write_json(document)
    else:
        origin = f"{'an installed model' if mend else 'a model'}, {units.size(model.size)}"
        rows = [*_rows(model.manifest, {}, model.place), *_record(model.manifest)]
        _write(rows, [("folder", str(model.folder)), ("is", origin)])
        _write_files(model, verdicts)
    if faults:
        raise HashMismatch(
            f"{one_line(model.name, 100)} is not what its manifest says: "
            f"{one_line(', '.join(faults), 300)}.",
            mend=mend or "Put the right files back, or make the manifest anew with --force.",
        )
    return 0


def _verdicts(model: InstalledModel, *, quiet: bool) -> dict[str, Verdict]:
    if not quiet and sys.stderr.isatty():
        sys.stderr.write(f"Hashing {units.size(model.size)} ...\n")
    return dict(verify(model))


def _write_files(model: InstalledModel, verdicts: dict[str, Verdict] | None) -> None:
    write_line()
    if not model.manifest.sha256:
        write_line("The manifest holds no sha256, so its files cannot be compared with anything.")
        return
    found = verdicts or dict.fromkeys(model.manifest.sha256)
    for path, verdict in found.items():
        try:
            size = units.size((model.folder / path).stat().st_size)
        except OSError:
            size = "-"
        write_line(f"{verdict or 'not compared':>12}  {size:>8}  {one_line(path, 200)}")
    for item in _unhashed(model, found):
        write_line(f"{'no sha256':>12}  {units.size(item.size):>8}  {one_line(item.name, 200)}")


def _unhashed(model: InstalledModel, hashed: Collection[str]) -> list[Item]:
    """Files of the model that its manifest knows nothing of."""
    try:
        found = items_below(model.folder)
    except (OSError, ModelError):  # a link, a pipe: not the model's
        return []
    return [item for item in found if item.name not in hashed and item.name != FILE_NAME]


def _record(manifest: Manifest) -> list[tuple[str, str]]:
    """Where it came from, as far as the manifest says so."""
    facts = [
        ("source", manifest.source),
        ("hashes", manifest.hash_origin),
    ]
    return [(label, one_line(value, 200)) for label, value in facts]


# --- what is no model yet --------------------------------------------------------------------------


def _tell_description(found: Description, *, json: bool) -> int:
    kind = "bundle" if found.is_bundle else "gguf"
    if json:
        write_json(
            {
                "kind": kind,
                "path": str(found.root),
                "manifest": found.manifest.to_json(),
                "special_tokens": found.special,
                "origins": found.origins,
                "missing": list(found.missing),
                "notes": list(found.notes),
                "ok": not found.missing,
            }
        )
        return 0
    words = "a Genie bundle, not a model yet" if found.is_bundle else "a GGUF file"
    rows = _rows(found.manifest, found.origins, _place(found.manifest, found.root))
    if found.special:
        origin = _said_by(found.origins["special_tokens"])
        rows.append(("special tokens", f"{one_line(found.special, 200)}{origin}"))
    _write(rows, [("folder", str(found.root)), ("is", words)])
    for note in found.notes:
        write_line(one_line(note, 500))
    if found.missing:
        flags = " and ".join(found.missing)
        them = "it" if len(found.missing) == 1 else "them"
        write_line(f"\nNo file says what {flags} would: give {them} to `convert manifest`.")
    return 0


def _rows(manifest: Manifest, origins: dict[str, str], place: str) -> list[tuple[str, str]]:
    template = manifest.template
    sdk = manifest.qnn_sdk if manifest.qnn_sdk != NO_SDK else ""
    rows = [
        ("name", "name", manifest.name),
        ("backend", "backend", place),
        ("architecture", "arch", manifest.arch or "?"),
        ("quantisation", "quant", manifest.quant or "?"),
        ("parameters", "parameters", manifest.parameters),
        ("licence", "licence", manifest.licence),
        ("context", "context", units.count(manifest.context, "token")),
        ("vocabulary", "vocab", units.count(manifest.vocab, "token")),
        ("QAIRT", "qnn_sdk", sdk),
        ("tiers", "tiers", ", ".join(f"{tier:,}" for tier in manifest.tiers)),
        ("first turn", "chat_template", repr(template.template) if template else ""),
        ("answer", "chat_template", repr(template.assistant_turn) if template else ""),
        ("next turn", "chat_template", repr(template.next_user_turn) if template else ""),
        ("system prompt", "chat_template", template.system_prompt if template else ""),
        *(("flag", "flags", flag.words) for flag in manifest.flags),
    ]
    return [
        (label, f"{one_line(value, 400)}{_said_by(origins.get(key, ''))}" if value else "")
        for label, key, value in rows
    ]


def _said_by(origin: str) -> str:
    return f"  [{one_line(origin, 100)}]" if origin else ""


def _write(rows: list[tuple[str, str]], last: list[tuple[str, str]]) -> None:
    write_facts(rows + [(label, one_line(value, 400)) for label, value in last])
