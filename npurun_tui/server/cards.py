"""What clients are told of the installed models, read from their files without loading them. All of it blocks.

A card is made anew only where a file that it was made of has changed: reading a GGUF header takes up to 70 ms, asking
the file system whether it is still the same one some microseconds.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.cpu.dialog import LARGEST_DEFAULT_CONTEXT
from npurun_tui.engine.cpu.embedding import LARGEST_DEFAULT_CONTEXT as LARGEST_TEXT
from npurun_tui.engine.cpu.embedding import RANKS, is_embedding
from npurun_tui.engine.cpu.gguf import GgufInfo, read_gguf
from npurun_tui.engine.genie.vocabulary import chosen_template
from npurun_tui.engine.template_facts import template_facts
from npurun_tui.errors import ModelError
from npurun_tui.models.describe_files import read_text
from npurun_tui.models.manifest import FILE_NAME, NO_SDK, Manifest
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.server.context import ModelCard

_TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_COUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT])", re.IGNORECASE)
_IN_NAME: Final = re.compile(r"(?:^|[-_.])(\d+(?:\.\d+)?[mb])(?=$|[-_.])", re.IGNORECASE)
_SCALE: Final = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}

_Key = tuple[tuple[str, int, int], ...]
"""Path, mtime in ns and size of each file that a card is made of."""


FRESH: Final = 1.0
"""Seconds for which `recent` believes a card without asking the file system again."""


@dataclass(slots=True)
class _Kept:
    key: _Key
    card: ModelCard
    checked: float
    """When its files were last asked for, on the clock of `time.monotonic`."""


class Cards:
    """The cards of one store's models. Usable from any thread."""

    def __init__(self, store: ModelStore, *, context: int = 0, tools: bool = True) -> None:
        """`context` is the setting for the CPU engine's window, in tokens; 0 leaves it to the engine. Without `tools`
        no model has that capability, since the server ignores them."""
        self._store = store
        self._tools = tools
        self._context = context
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def all(self) -> list[ModelCard]:
        """The cards of all usable models, by name; damaged ones are left out.

        Raises:
            ModelError: the models' folder cannot be read.
        """
        installed, _ = self._store.scan()
        cards: list[ModelCard] = []
        for model in installed:
            with suppress(ModelError, OSError):
                cards.append(self._card(model))
        with self._lock:
            for gone in self._kept.keys() - {model.name for model in installed}:
                del self._kept[gone]
        return cards

    def one(self, name: str) -> ModelCard:
        """The card of the model `name`, which must be as the store knows it.

        Raises:
            ModelNotFound: it is not here.
            ModelError: it is damaged.
            OSError: its file cannot be read.
        """
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None and _key_of(Path(path) for path, _, _ in kept.key) == kept.key:
            kept.checked = time.monotonic()
            return kept.card
        return self._card(self._store.get(name))

    def recent(self, name: str) -> ModelCard | None:
        """The card, where it was right less than `FRESH` seconds ago. Asks no file, so it may be called on a loop: a
        thread's answer takes longer than all else that a request needs before the engine."""
        with self._lock:
            kept = self._kept.get(name)
        if kept is None or time.monotonic() - kept.checked > FRESH:
            return None
        return kept.card

    def forget(self, name: str) -> None:
        """The model has changed or is gone."""
        with self._lock:
            self._kept.pop(name, None)

    def _card(self, model: InstalledModel) -> ModelCard:
        key = _key_of(_files_of(model))
        with self._lock:
            kept = self._kept.get(model.name)
        if kept is not None and kept.key == key:
            kept.checked = time.monotonic()
            return kept.card
        card = make_card(model, self._context, tools=self._tools)
        with self._lock:
            self._kept[model.name] = _Kept(key, card, time.monotonic())
        return card


def make_card(model: InstalledModel, context: int = 0, *, tools: bool = True) -> ModelCard:
    """The card of one installed model. Raises ModelFileDamaged, OSError."""
    manifest = model.manifest
    header = read_gguf(_main(model)) if manifest.backend == "llama.cpp" else None
    family = (header.architecture if header else "") or manifest.arch
    template = _template(model, header)
    capabilities = _capabilities(header, template, tools)
    return ModelCard(
        name=model.name,
        digest=_digest(manifest, capabilities),
        size=model.size,
        modified=(model.folder / FILE_NAME).stat().st_mtime,
        backend=manifest.backend,
        family=family,
        parameter_size=manifest.parameters or _size_in_name(model.name),
        quantisation=manifest.quant,
        format="gguf" if header else "qnn-genie-bundle",
        context=_window(manifest, header, context),
        embedding_length=header.embedding_length if header else 0,
        vocabulary=(header.vocabulary_size if header else 0) or manifest.vocab,
        capabilities=capabilities,
        template=template,
        licence=manifest.licence,
        system=manifest.template.system_prompt if manifest.template else "",
        details=_details(manifest, header, family),
    )


def parameter_count(text: str) -> int:
    """`135M` -> 135,000,000; 0 where `text` says no number."""
    match = _COUNT.search(text)
    return round(float(match[1]) * _SCALE[match[2].upper()]) if match else 0


def _key_of(files: Iterator[Path]) -> _Key:
    key: list[tuple[str, int, int]] = []
    for file in files:
        try:
            facts = file.stat()
            key.append((str(file), facts.st_mtime_ns, facts.st_size))
        except OSError:
            key.append((str(file), 0, -1))
    return tuple(key)


def _files_of(model: InstalledModel) -> Iterator[Path]:
    yield model.folder / FILE_NAME
    main = _main(model)
    yield main
    if model.manifest.backend == "genie":
        yield main.parent / _TOKENIZER_CONFIG


def _main(model: InstalledModel) -> Path:
    return model.folder / model.manifest.files.main


def _window(manifest: Manifest, header: GgufInfo | None, setting: int) -> int:
    """Tokens, as the engines choose it."""
    if header is None:
        return manifest.context
    trained = header.context_length or manifest.context
    if is_embedding(header):  # there are no positions after the trained ones
        return min(setting or LARGEST_TEXT, trained)
    return setting or min(trained, LARGEST_DEFAULT_CONTEXT)


def _template(model: InstalledModel, header: GgufInfo | None) -> str:
    """The source of what the engine renders with, in its own order: the files' own template, else the manifest's."""
    source = header.chat_template if header else ""
    if header is None:
        source = _bundle_template(_main(model).parent / _TOKENIZER_CONFIG)
    if not source and model.manifest.template:
        source = model.manifest.template.template
    return source


def _bundle_template(config: Path) -> str:
    try:
        document = json.loads(read_text(config) or "null")
    except (ValueError, RecursionError):
        return ""
    return chosen_template(document.get("chat_template")) if isinstance(document, dict) else ""


def _capabilities(header: GgufInfo | None, template: str, tools: bool) -> tuple[str, ...]:
    if header is not None and is_embedding(header):
        return ("embedding",)
    if header is not None and header.pooling == RANKS:
        return ()  # it orders texts by their fitness, which no route here asks for
    facts = template_facts(template)
    found = {"completion": True, "tools": tools and facts.tools, "thinking": facts.thinking}
    return tuple(name for name, has in found.items() if has)


def _digest(manifest: Manifest, capabilities: tuple[str, ...]) -> str:
    """Two models never share one, as the manifest has the name; clients that cache by it see new capabilities."""
    document = {"manifest": manifest.to_json(), "capabilities": capabilities}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _size_in_name(name: str) -> str:
    """`qwen-2-5-7b` -> `7B`; "unknown" where the name has no such part."""
    match = _IN_NAME.search(name)
    return match[1].upper() if match else "unknown"


def _details(manifest: Manifest, header: GgufInfo | None, family: str) -> dict[str, Any]:
    """What `model_info` has beside what the card's own fields say."""
    facts: dict[str, Any] = {"npurun.trained_context": manifest.context}
    if count := parameter_count(manifest.parameters):
        facts["general.parameter_count"] = count
    if header is not None:
        facts["npurun.trained_context"] = header.context_length or manifest.context
        facts[f"{family}.block_count"] = header.block_count
        facts["tokenizer.ggml.model"] = header.tokenizer
        for name in ("bos", "eos"):
            if (token := getattr(header, name)) >= 0:
                facts[f"tokenizer.ggml.{name}_token_id"] = token
    if manifest.qnn_sdk != NO_SDK:
        facts["qnn.sdk_version"] = manifest.qnn_sdk
    if manifest.tiers:
        facts["npurun.tiers"] = list(manifest.tiers)
    return {key: value for key, value in facts.items() if value not in ("", 0)}
