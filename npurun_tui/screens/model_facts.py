"""The details of one model: everything that its manifest or the catalog says, in words. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.engine.spec import BACKEND_LABELS
from npurun_tui.models.manifest import NO_SDK
from npurun_tui.text import one_line

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import Fit
    from npurun_tui.models.manifest import Manifest
    from npurun_tui.models.store import InstalledModel
    from npurun_tui.screens.model_disk import FilesSeen
    from npurun_tui.screens.model_local import Check

Facts = tuple[tuple[str, str], ...]
Sections = tuple[tuple[str, tuple[str, ...]], ...]
"""Headings, and the lines under each."""

RECORDED: Final = "sha256, recorded on the first pull"
_HASH_WORDS: Final = {
    "pinned": "sha256, pinned",
    "recorded": "sha256, recorded when it first came here",
    "": "sha256 of the files",
}
_TEMPLATE_LINES: Final = 6
_HASH_DIGITS: Final = 12
_VERDICTS: Final = {
    "same": "✓ same",
    "differs": "✗ differs",
    "missing": "✗ missing",
    "unreadable": "✗ cannot be read",
}


def said(facts: Iterable[tuple[str, str]]) -> Facts:
    """Those that have a value, each in one printable line."""
    return tuple((label, one_line(value, 300)) for label, value in facts if value)


def integrity(manifest: Manifest) -> str:
    """What the files of an installed model can be compared with."""
    return _HASH_WORDS[manifest.hash_origin] if manifest.sha256 else "no sha256"


def thousands(number: int) -> str:
    """A number as the table shows it; empty for 0."""
    return f"{number:,}" if number else ""


def entry_facts(entry: CatalogEntry) -> Facts:
    """What the catalog says of a model that is not here."""
    return said(
        (
            ("Backend", BACKEND_LABELS[entry.backend]),
            ("Architecture", entry.arch),
            ("Parameters", entry.parameters),
            ("Quantisation", entry.quant),
            ("Context", _tokens(entry.context)),
            ("Download", entry.about(entry.download_size)),
            ("Installed", entry.about(entry.installed_size)),
            ("Hexagon", _hexagons(entry)),
            ("QAIRT", entry.qnn_sdk),
            ("Integrity", "sha256, pinned" if entry.pinned else RECORDED),
            ("Licence", entry.licence),
            ("Catalog", entry.catalog),
            ("Source", str(entry.source)),
        )
    )


def _hexagons(entry: CatalogEntry) -> str:
    """What it is compiled for, and what else there is."""
    others = ", ".join(entry.hexagons[1:])
    return f"{entry.hexagon} (also {others})" if others else entry.hexagon


def verdict(fit: Fit | None) -> str:
    """Whether a model runs here: a sign, and the sentence; empty while it is not known."""
    if fit is None:
        return ""
    if not fit.sure:
        return f"? {fit.words}"
    return f"✓ {fit.words}" if fit.runs else f"✗ It cannot run here. {fit.words}"


def installed_facts(model: InstalledModel, entry: CatalogEntry | None, fit: Fit | None) -> Facts:
    """What the manifest of an installed model says, and what the catalog adds."""
    manifest = model.manifest
    return said(
        (
            ("Backend", model.place),
            ("Architecture", manifest.arch),
            ("Parameters", manifest.parameters),
            ("Quantisation", manifest.quant),
            ("Context", _tokens(manifest.context)),
            ("Tiers", ", ".join(f"{tier:,}" for tier in manifest.tiers)),
            ("Vocabulary", thousands(manifest.vocab)),
            ("On disk", units.size(model.size)),
            ("Hexagon", entry.hexagon if entry else ""),
            ("QAIRT", "" if manifest.qnn_sdk == NO_SDK else manifest.qnn_sdk),
            ("Version", manifest.version),
            ("Runs here", verdict(fit)),
            ("Integrity", integrity(manifest)),
            ("Licence", manifest.licence),
            ("Archive", _short(manifest.archive_sha256)),
            ("Source", manifest.source),
            ("Folder", str(model.folder)),
        )
    )


def sections(model: InstalledModel, seen: FilesSeen, check: Check | None) -> Sections:
    """Files with their sizes and hashes, the reasons of the config's flags, the template's first lines."""
    about_files = ("Files", tuple(_file_lines(seen, check)))
    flags = tuple(f"· {one_line(flag.words, 300)}" for flag in model.manifest.flags)
    parts = [("Settings, and why", flags), ("Template", tuple(_template_lines(model.manifest)))]
    parts.insert(0 if check and check.verdicts else 1, about_files)
    return tuple((heading, lines) for heading, lines in parts if lines)


def _file_lines(seen: FilesSeen, check: Check | None) -> Iterable[str]:
    for path, file in seen.files.items():
        size = "missing" if file.size is None else units.size(file.size)
        verdict = _VERDICTS[check.verdicts[path]] if check and path in check.verdicts else ""
        parts = (one_line(path, 120), size, _short(file.sha256), verdict)
        yield "  ".join(part for part in parts if part)
    if seen.more:
        yield f"and {seen.more:,} more"


def _template_lines(manifest: Manifest) -> Iterable[str]:
    if manifest.template is None:
        yield "none in the manifest: the model's own files bring it"
        return
    lines = manifest.template.template.rstrip("\n").split("\n")
    for line in lines[:_TEMPLATE_LINES]:
        yield one_line(line, 200)
    if len(lines) > _TEMPLATE_LINES:
        yield f"… {units.count(len(lines) - _TEMPLATE_LINES, 'more line')}"
    if manifest.template.system_prompt:
        yield f"system prompt: {one_line(manifest.template.system_prompt, 200)}"


def _short(digest: str) -> str:
    return f"sha256 {digest[:_HASH_DIGITS]}…" if digest else ""


def _tokens(context: int) -> str:
    return units.count(context, "token") if context else ""
