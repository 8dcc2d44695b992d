"""Making a model of what was unpacked: the manifest last, then one rename. All of it blocks.

At every moment there is an old model, or a new one, or (where the process is killed between two renames) both
complete beside each other in the pull's own folder, from where `recover` brings one back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial as partial_of
from pathlib import Path
from typing import Final

from npurun_tui.engine.cpu.gguf import read_gguf
from npurun_tui.errors import ModelBusy, ModelError
from npurun_tui.files import patiently, sync_folder
from npurun_tui.models.bundles import CONFIG, TOKENIZER, find_bundle, read_facts, set_flags
from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.layout import MAP, PART, STATE, UNPACKED, Layout
from npurun_tui.models.manifest import FILE_NAME, NO_SDK, Files, Manifest
from npurun_tui.models.sizes import sizes_of
from npurun_tui.models.transfer import sync_folders
from npurun_tui.models.trees import remove_tree
from npurun_tui.text import one_line

BUNDLE: Final = "bundle"
"""The folder in a model's own that its archive is unpacked into, as the Rust program has it."""
GGUF: Final = "model.gguf"
"""What a file that is the model itself is called in the model's folder."""
_REPLACED: Final = "replaced"
_INSTALLING: Final = "installing"
"""An empty file: from here on it is the model's rename alone that tells whether the download is still of use."""
_PATIENCE: Final = 20.0
"""Seconds that a virus scanner on Windows may take over what was just unpacked; it reads gigabytes."""


def recover(layout: Layout, name: str) -> None:
    """Tidy up after a pull that was killed: an old model that had been moved aside comes back, leftovers go.

    Raises OSError where the pull's folder cannot be brought into order.
    """
    partial, model = layout.partial(name), layout.model(name)
    replaced, unpacked = partial / _REPLACED, partial / UNPACKED
    installing = partial / _INSTALLING
    if installing.exists() and os.path.lexists(model) and not unpacked.exists():
        _clear(partial)
        return
    installing.unlink(missing_ok=True)
    # Where the volume has no links, the download itself was moved to its place.
    if (
        (unpacked / GGUF).is_file()
        and (partial / STATE).is_file()
        and not (partial / PART).exists()
    ):
        (unpacked / GGUF).rename(partial / PART)
    if replaced.is_dir():
        if os.path.lexists(model):
            remove_tree(replaced)
        else:
            replaced.rename(model)
    if unpacked.is_dir():
        remove_tree(unpacked)


def write_manifest(entry: CatalogEntry, folder: Path, file_name: str, sha256: str) -> None:
    """Describe the GGUF file in `folder`, from its own metadata; what it does not say is the catalog's.

    `sha256` is the file's. Raises:
        ModelFileDamaged: the file is no GGUF file, or is truncated.
    """
    header = read_gguf(folder / file_name)
    Manifest(
        name=entry.name,
        arch=one_line(header.architecture, 64) or entry.arch,
        vocab=header.vocabulary_size or 1,  # the Rust program takes no 0 for "not known"
        context=header.context_length or entry.context,
        quant=one_line(header.quantisation, 64) or entry.quant,
        files=Files(model=file_name),
        backend=entry.backend,
        sha256={file_name: sha256},
        sizes=sizes_of(folder, [file_name]),
        hash_origin="pinned" if entry.pinned else "recorded",
        licence=entry.licence,
        source=str(entry.source),
        parameters=entry.parameters,
    ).write(folder)


def write_bundle_manifest(
    entry: CatalogEntry,
    folder: Path,
    hashes: Mapping[str, str],
    archive_sha256: str,
    check: Callable[[], None],
) -> None:
    """Describe the Genie bundle that was unpacked into `folder`/bundle, and set the flags that its graphs call for.

    `hashes` has the sha256 of each file by its path in that folder; `check` may raise to end it. Raises:
        ModelFileDamaged: there is no bundle in it, or a file that its config names is missing.
        OSError: a file could not be written.
    """
    root = find_bundle(folder / BUNDLE, one_line(entry.source.filename, 100))
    facts = read_facts(root, check)
    flags = set_flags(root, facts.graphs)
    inside = root.relative_to(folder).as_posix()
    known = {f"{BUNDLE}/{path}": digest for path, digest in hashes.items()}
    for name in {flag.file for flag in flags if flag.value and (root / flag.file).is_file()}:
        path = root / name  # a flag was set in it, so it is no longer what was in the archive
        known[f"{inside}/{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    tokenizer = f"{inside}/{TOKENIZER}" if (root / TOKENIZER).is_file() else ""
    Manifest(
        name=entry.name,
        arch=entry.arch,
        vocab=facts.vocabulary,
        context=facts.context,
        quant=entry.quant,
        files=Files(tokenizer=tokenizer, genie_config=f"{inside}/{CONFIG}"),
        backend=entry.backend,
        qnn_sdk=entry.qnn_sdk or NO_SDK,
        template=entry.template,
        sha256=known,
        hash_origin="pinned" if entry.pinned else "recorded",
        licence=entry.licence,
        source=str(entry.source),
        parameters=entry.parameters,
        archive_sha256=archive_sha256,
        sizes=sizes_of(folder, known),
        tiers=facts.graphs.contexts,
        flags=flags,
    ).write(folder)


def check_place(layout: Layout, name: str, *, force: bool) -> None:
    """See, before anything is downloaded, whether the model can be put where it belongs.

    Raises:
        ModelError: a folder that is no model is there, a link, or (without `force`) a damaged model.
    """
    folder = layout.model(name)
    if not os.path.lexists(folder):
        return
    shown = one_line(str(folder), 300)
    if folder.is_symlink() or not folder.is_dir():
        raise ModelError(f"{shown} is no folder, and is left alone.", mend="Move it away.")
    if not os.path.lexists(folder / FILE_NAME):
        if any(folder.iterdir()):
            raise ModelError(
                f"{shown} holds no {FILE_NAME}, so it is no model and is left alone.",
                mend="Move it away and pull again. If a whole bundle lies in it, "
                f"`npurun-tui convert manifest {shown} --in-place` makes a model of it.",
            )
    elif not force:
        raise ModelError(
            f"{shown} holds a model that is damaged.",
            mend=f"`npurun-tui pull {name} --force` replaces it.",
        )


def install(layout: Layout, name: str) -> None:
    """Move the unpacked model into place, over an older one; that one goes when the new one is there.

    What cannot be cleared up afterwards is left to the next pull: the model is in place.

    Raises:
        ModelBusy: (Windows) a program has a file of the older model open.
        OSError: the file system refused.
    """
    partial, model = layout.partial(name), layout.model(name)
    unpacked, replaced = partial / UNPACKED, partial / _REPLACED
    sync_folders(unpacked)
    with suppress(OSError):  # a full disk, on which the rename may well succeed
        (partial / _INSTALLING).touch()
    if os.path.lexists(model):
        _move_aside(model, replaced)
        try:
            patiently(lambda: unpacked.rename(model), seconds=_PATIENCE)
        except OSError:
            patiently(lambda: replaced.rename(model))
            raise
    else:
        patiently(lambda: unpacked.rename(model), seconds=_PATIENCE)
    sync_folder(layout.root)
    _clear(partial)


def _clear(partial: Path) -> None:
    """Delete the folder of a pull that is done, as far as it goes; what tells that it is done goes last."""
    with suppress(OSError):
        for path in (partial / PART, partial / MAP, partial / STATE):
            patiently(partial_of(path.unlink, missing_ok=True))
        for folder in (partial / _REPLACED, partial):
            if folder.is_dir():
                remove_tree(folder)


def _move_aside(model: Path, replaced: Path) -> None:
    try:
        patiently(lambda: model.rename(replaced))
    except PermissionError as error:
        if os.name != "nt":
            raise
        raise ModelBusy(
            f"{one_line(str(model), 300)} is in use by another program.",
            mend="Close it and pull again.",
        ) from error
