"""Models as `list --json`, `show --json` and the others print them. Their keys are stable: scripts depend on them."""

from __future__ import annotations

from typing import Any

from npurun_tui.models.catalog import CatalogEntry
from npurun_tui.models.fit import Fit
from npurun_tui.models.store import BrokenModel, InstalledModel
from npurun_tui.models.verify import Verdict


def model_document(
    model: InstalledModel, verdicts: dict[str, Verdict] | None = None
) -> dict[str, Any]:
    """One installed model for programs: the manifest's keys, and what the store knows beside them."""
    manifest = model.manifest
    document: dict[str, Any] = {
        "name": model.name,
        "state": "installed",
        "backend": manifest.backend,
        "architecture": manifest.arch,
        "parameters": manifest.parameters,
        "quantisation": manifest.quant,
        "context": manifest.context,
        "vocabulary": manifest.vocab,
        "size": model.size,
        "licence": manifest.licence,
        "source": manifest.source,
        "hash_origin": manifest.hash_origin,
        "tiers": list(manifest.tiers),
        "folder": str(model.folder),
        "manifest": manifest.to_json(),
    }
    if verdicts is not None:
        document["verification"] = {path: verdict.value for path, verdict in verdicts.items()}
    return document


def entry_document(entry: CatalogEntry, here: int, puller: str | None) -> dict[str, Any]:
    """One catalog entry for programs; `here` is how many bytes of its download are there, `puller` who fetches more."""
    return {
        "name": entry.name,
        "state": "partial" if here else "available",
        "title": entry.title,
        "backend": entry.backend,
        "architecture": entry.arch,
        "parameters": entry.parameters,
        "quantisation": entry.quant,
        "context": entry.context,
        "size": entry.installed_size,
        "download_size": entry.download_size,
        "downloaded": here,
        "pulling": puller is not None,
        "licence": entry.licence,
        "source": str(entry.source),
        "hexagon": entry.hexagon,
        "qnn_sdk": entry.qnn_sdk,
        "pinned": entry.pinned,
        "exact_sizes": entry.exact,
        "catalog": entry.catalog,
    }


def fit_document(fits: Fit) -> dict[str, Any]:
    """Whether it runs here: null where what is known speaks neither for nor against it."""
    return {"runs_here": fits.runs if fits.sure else None, "runs_here_reason": fits.words}


def needs_document(entry: CatalogEntry, fits: Fit) -> dict[str, Any]:
    """What an entry needs, and whether it runs here."""
    return {
        "room": entry.room,
        "hexagons": list(entry.hexagons),
        **fit_document(fits),
        "note": entry.note,
    }


def broken_document(model: BrokenModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "state": "damaged",
        "reason": model.reason,
        "size": model.size,
        "folder": str(model.folder),
    }
