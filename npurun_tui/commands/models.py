"""`show` and `rm`: one model, in plain text or JSON."""

from __future__ import annotations

import sys
from typing import Final

from npurun_tui import units
from npurun_tui.commands.asking import agreed
from npurun_tui.commands.listing import puller_of, who
from npurun_tui.commands.model_documents import (
    entry_document,
    fit_document,
    model_document,
    needs_document,
)
from npurun_tui.commands.tables import write_facts, write_json, write_line
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.errors import HashMismatch, ModelError, ModelNotFound, UsageError
from npurun_tui.models.catalog import CatalogEntry, find
from npurun_tui.models.fit import Fit, fit, fit_here, machine_facts
from npurun_tui.models.manifest import NO_SDK
from npurun_tui.models.remote.known import known_catalog
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.models.verify import Verdict, covers_main, verify
from npurun_tui.settings import Paths
from npurun_tui.text import one_line

_HASH_WORDS: Final = {
    "pinned": "sha256 pinned: compared with a value that was known before",
    "recorded": "sha256 recorded when it first came here",
    "": "sha256 in the manifest, of unknown origin",
}


# --- show --------------------------------------------------------------------------------------


def show(paths: Paths, name: str, *, json: bool, verify: bool) -> int:
    """Print one model's manifest, or the catalog's entry where it is not installed.

    Raises:
        ModelNotFound: neither knows it.
        ManifestInvalid, ModelFileDamaged: it is here and cannot be used.
        HashMismatch: with `verify`, a file is not what the manifest says; printed all the same.
        ModelError: with `verify`, the manifest has no hash that would say so.
    """
    store = ModelStore(paths.models)
    try:
        model = store.get(name)
    except ModelNotFound:
        if verify:
            raise
        return _show_entry(paths, store, name, json=json)
    verdicts = _verify(model, quiet=json) if verify else None
    known = {entry.name: entry for entry in known_catalog(paths)}
    fits = fit_here(model, known, machine_facts())
    if json:
        write_json(model_document(model, verdicts) | fit_document(fits))
    else:
        write_facts(_facts(model, fits, verdicts))
    faults = [path for path, verdict in (verdicts or {}).items() if verdict is not Verdict.SAME]
    if faults:
        raise HashMismatch(
            f"{model.name} is not what its manifest says: {one_line(', '.join(faults), 300)}.",
            mend=whole_again(paths, model.name),
        )
    if verify and not covers_main(model):
        raise ModelError(
            f"The manifest of {model.name} has no sha256 of {one_line(model.manifest.files.main, 200)}, "
            "so nothing says whether that is whole.",
            mend=whole_again(paths, model.name),
        )
    return 0


def whole_again(paths: Paths, name: str) -> str:
    """How the installed model `name`, whose files are not what they were, becomes whole."""
    if any(entry.name == name for entry in known_catalog(paths)):
        return f"`npurun-tui pull {name} --force` replaces it."
    return "Bring it here again from where it came: `npurun-tui convert manifest --force`."


def _verify(model: InstalledModel, *, quiet: bool) -> dict[str, Verdict]:
    if not quiet and sys.stderr.isatty():
        sys.stderr.write(f"Hashing {units.size(model.size)} ...\n")
    return dict(verify(model))


def _show_entry(paths: Paths, store: ModelStore, name: str, *, json: bool) -> int:
    machine = machine_facts()
    entry = find(name, known_catalog(paths)).suited(machine.hexagons)
    fits = fit(entry, machine)
    here = store.partials().get(entry.name, 0)
    puller = puller_of(store, entry.name, here)
    if json:
        write_json(entry_document(entry, here, puller) | needs_document(entry, fits))
        return 0
    write_facts(
        [
            ("name", entry.name),
            ("title", entry.title),
            ("state", _state_words(here, puller)),
            ("backend", BACKEND_LABELS[entry.backend]),
            ("architecture", entry.arch),
            ("parameters", entry.parameters),
            ("quantisation", entry.quant),
            ("context", units.count(entry.context, "token")),
            ("download", entry.about(entry.download_size)),
            ("installed", entry.about(entry.installed_size)),
            ("room", f"{entry.about(entry.room)} while it is pulled"),
            ("runs here", _runs(fits)),
            ("Hexagon", " or ".join(entry.hexagons)),
            ("QAIRT", entry.qnn_sdk),
            ("licence", entry.licence),
            ("source", str(entry.source)),
            ("integrity", _expected(entry)),
            ("catalog", entry.catalog or "built in"),
            ("note", entry.note),
        ]
    )
    return 0


def _runs(fits: Fit) -> str:
    sign = ("yes" if fits.runs else "no") if fits.sure else "perhaps"
    return f"{sign}: {fits.words}"


def _state_words(here: int, puller: str | None) -> str:
    if not here:
        return "not pulled"
    words = f"{units.size(here)} of the download are here"
    if puller is None:
        return words
    return f"{words}; {who(puller)} is pulling it"


def _expected(entry: CatalogEntry) -> str:
    if entry.pinned:
        return _HASH_WORDS["pinned"]
    return "no sha256 published: the first pull records it, and later ones compare"


def _facts(
    model: InstalledModel, fits: Fit, verdicts: dict[str, Verdict] | None
) -> list[tuple[str, str]]:
    manifest = model.manifest
    template = manifest.template.template if manifest.template else ""
    facts = [
        ("name", model.name),
        ("backend", model.place),
        ("architecture", manifest.arch),
        ("parameters", manifest.parameters),
        ("quantisation", manifest.quant),
        ("context", units.count(manifest.context, "token")),
        ("vocabulary", units.count(manifest.vocab, "token")),
        ("size", units.size(model.size)),
        ("runs here", _runs(fits)),
        ("licence", manifest.licence),
        ("source", manifest.source),
        ("QAIRT", manifest.qnn_sdk if manifest.qnn_sdk != NO_SDK else ""),
        ("manifest", f"version {manifest.version}"),
        ("folder", str(model.folder)),
        ("main file", manifest.files.main),
        ("tiers", ", ".join(f"{tier:,}" for tier in manifest.tiers)),
        *(("flag", flag.words) for flag in manifest.flags),
        ("files", _files_words(manifest.sha256)),
        ("chat template", repr(template) if template else ""),
        ("integrity", _integrity(model)),
    ]
    facts += [(verdict.value, path) for path, verdict in (verdicts or {}).items()]
    return [(label, one_line(value, 500)) for label, value in facts]


def _integrity(model: InstalledModel) -> str:
    """What the manifest's hashes are worth: an origin without hashes is none."""
    manifest = model.manifest
    if not manifest.sha256:
        return "no sha256 known"
    words = _HASH_WORDS[manifest.hash_origin]
    return words if covers_main(model) else f"{words}; none of the main file"


def _files_words(hashes: dict[str, str]) -> str:
    return f"{units.count(len(hashes), 'file')} with a sha256" if hashes else ""


# --- rm ----------------------------------------------------------------------------------------


def rm(paths: Paths, name: str, *, yes: bool, json: bool) -> int:
    """Delete a model, a damaged one, or what an unfinished pull left, after asking on a terminal.

    Raises:
        UsageError: it was not confirmed, and there is nobody to ask.
        ModelNotFound, ModelBusy, ModelError: as `ModelStore.remove`.
    """
    store = ModelStore(paths.models)
    size = _removable_size(store, name)
    if size is not None and not yes and not _confirmed(name, size):
        sys.stderr.write("Nothing was removed.\n")
        return 1
    freed = store.remove(name)
    if json:
        write_json({"name": name, "freed": freed})
    else:
        write_line(f"Removed {one_line(name, 100)}; {units.size(freed)} are free again.")
    return 0


def _removable_size(store: ModelStore, name: str) -> int | None:
    """Bytes that removing `name` frees; None where there is nothing to remove, which `remove` then says."""
    installed, broken = store.scan()
    sizes = store.partials()
    frees = {model.name: model.size - model.shared for model in installed}
    frees |= {model.name: model.size for model in broken}
    for model, freed in frees.items():
        sizes[model] = sizes.get(model, 0) + freed
    return sizes.get(name, sizes.get(name.removesuffix(":latest")))


def _confirmed(name: str, size: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("rm asks before it deletes, and there is no terminal.", mend="Add --yes.")
    return agreed(f"Remove {one_line(name, 100)} and free {units.size(size)}?")
