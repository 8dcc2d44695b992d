"""A Genie bundle as it lies on the disk, and the config that it is opened with.

The files are left as they came. What must differ (absolute paths, since Genie resolves relative ones against the
working directory; `poll`; graph switching) is changed in memory, and `rules` says why.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie import rules
from npurun_tui.engine.genie.graphs import Graphs, read_graphs
from npurun_tui.engine.genie.vocabulary import MEND, Vocabulary, read_vocabulary
from npurun_tui.errors import EngineLoadFailed, ModelFileDamaged
from npurun_tui.files import read_small
from npurun_tui.text import one_line

_LARGEST: Final = 16 << 20
"""Bytes of JSON that a config may have; real ones have a few thousand."""

USUAL_WIDTH: Final = 128
"""Tokens that the prefill graphs of published bundles take at once."""

PATH_KEYS: Final = frozenset(
    {
        "path",
        "extensions",
        "ctx-bins",
        "model-bin",
        "forecast-prefix-name",
        "lut-path",
        "file",
        "bin-sections",
        "draft-token-map",
        "draft-kv-cache",
    }
)
"""Keys of a config whose values are paths, or lists of them."""

_MISFITS: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What reading a config raises that has another shape than a dialog's."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a dialog is made from."""

    config: dict[str, Any]
    """The whole document for `GenieDialogConfig_createFromJson`."""
    backend: str
    """`backend.type`: `QnnHtp` is the NPU."""
    window: int
    """Prompt and output together, in tokens, below every line that this release must not cross."""
    size: int
    """`context.size`: the window that the bundle claims."""
    bos: int
    """The BOS token's id; -1 where there is none."""
    tokens: int
    """The vocabulary's size."""
    vocabulary: Vocabulary
    graphs: Graphs
    sliding: bool = False
    """It has groups of the cache with a sliding window, which some releases cannot save (D6)."""

    @property
    def files(self) -> list[Path]:
        """Every file that the config names and that is there."""
        return [file for _, _, path in _paths(self.config) if (file := Path(path)).is_file()]

    def with_sampler(self, block: dict[str, Any]) -> bytes:
        """The config as JSON, with `block` as its sampler."""
        document = copy.deepcopy(self.config)
        document["dialog"]["sampler"] = block
        return json.dumps(document, ensure_ascii=False).encode()


def read_bundle(
    file: Path,
    version: rules.Version,
    *,
    context: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> Bundle:
    """The bundle whose `genie_config.json` is `file`, as the release with API `version` should open it.

    `context` is the most tokens that the window shall have; 0 is the bundle's own.

    Raises:
        ModelFileDamaged: the config or a file that it names is missing or cannot be read.
        EngineLoadFailed: it is no text bundle.
    """
    document = _load(file)
    try:
        dialog = document["dialog"]
        engines = dialog["engine"]
        engines = engines if isinstance(engines, list) else [engines]
        backend = str(engines[0]["backend"]["type"])
        claimed = dialog["context"]
        size, tokens, bos = (int(claimed[key]) for key in ("size", "n-vocab", "bos-token"))
        _make_absolute(document, file.parent)
        _require(dialog, engines)
        tokenizer = Path(dialog["tokenizer"]["path"])
        graphs = Graphs()
        if backend == rules.HTP:
            graphs = _graphs(engines)
            _tune(dialog, engines, graphs, version, environ)
        sliding = any("cache-groups" in each or _slides(each) for each in engines)
    except _MISFITS as error:
        raise ModelFileDamaged(
            f"{one_line(file.name)} lacks what a dialog's config must have ({one_line(str(error), 60)}).",
            mend=MEND,
        ) from error
    if backend != rules.HTP and context:
        claimed["size"] = size = min(size, context)
    window = _window(size, graphs, rules.limits(version, backend), backend)
    return Bundle(
        document,
        backend,
        min(window, context) if context else window,
        size,
        bos,
        tokens,
        read_vocabulary(tokenizer, file.parent / "tokenizer_config.json"),
        graphs,
        sliding,
    )


def _slides(engine: dict[str, Any]) -> bool:
    return bool(engine.get("longcontext", {}).get("type") == "sliding-window")


def _window(size: int, graphs: Graphs, limits: rules.Limits, backend: str) -> int:
    """The tokens that a conversation may have: one prefill width short of the edge on the NPU, where a prefill is
    padded to that width, and short of the smallest tier's edge where D1 holds."""
    if backend != rules.HTP:
        return size
    if limits.smallest_tier and graphs.contexts:
        size = min(size, graphs.contexts[0])
    width = graphs.prefill_width
    if not 0 < width < size:  # no names, or ones that cannot be: what every published bundle has
        width = USUAL_WIDTH if limits.smallest_tier or width else 0
    return size - width if size > width else max(1, size // 2)


def _tune(
    dialog: dict[str, Any],
    engines: list[dict[str, Any]],
    graphs: Graphs,
    version: rules.Version,
    environ: Mapping[str, str],
) -> None:
    """Set what the table of rules says for the NPU."""
    for engine in engines:
        htp = engine["backend"].get(rules.HTP)
        if not isinstance(htp, dict):
            continue
        htp["poll"] = environ.get("NPURUN_HTP_POLL") == "1"
        if graphs.contexts:
            htp["enable-graph-switching"] = graphs.multi
    if dialog.get("type") == "ssd-q1" and rules.SSD_AFTER_RESET.holds(version):
        dialog["type"] = "basic"
        dialog.pop("ssd-q1", None)


def _graphs(engines: list[dict[str, Any]]) -> Graphs:
    """The graphs of the first engine's context binaries."""
    files = [Path(file) for file in engines[0]["model"]["binary"]["ctx-bins"]]
    try:
        return read_graphs(files)
    except OSError as error:
        raise _unreadable(Path(error.filename or files[0]), error) from error


def _make_absolute(value: Any, folder: Path) -> None:
    """Make every path in the document absolute, in place."""
    for owner, key, path in _paths(value):
        # Bundles made on Windows write backslashes; no file of a bundle has one in its name.
        owner[key] = str((folder / path.replace("\\", "/")).absolute())


def _paths(value: Any) -> Iterator[tuple[Any, Any, str]]:
    """`(owner, key, path)` of each path in the document."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in PATH_KEYS:
                yield from _paths(item)
            elif isinstance(item, str):
                yield value, key, item
            elif isinstance(item, list):
                yield from ((item, place, each) for place, each in enumerate(item))


def _require(dialog: dict[str, Any], engines: list[dict[str, Any]]) -> None:
    """Refuse before Genie does, which takes seconds and says less."""
    needed = [("tokenizer", dialog["tokenizer"]["path"])]
    for engine in engines:
        model = engine["model"]
        if extensions := engine["backend"].get("extensions"):
            needed.append(("backend extension config", extensions))
        needed += [("context binary", file) for file in model.get("binary", {}).get("ctx-bins", ())]
        if library := model.get("library", {}).get("model-bin"):
            needed.append(("model file", library))
    for what, path in needed:
        if not Path(path).is_file():
            raise ModelFileDamaged(f"The {what} {one_line(path, 200)} is missing.", mend=MEND)


def _load(file: Path) -> dict[str, Any]:
    try:
        data = read_small(file, _LARGEST)
        if data is None:
            raise ModelFileDamaged(f"{one_line(file.name)} is too large for a config.", mend=MEND)
        document = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise _unreadable(file, error) from error
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        shown = one_line(f"{file} is not JSON{where}", 300)
        raise ModelFileDamaged(f"{shown}.", mend=MEND) from error
    if isinstance(document, dict) and "text-generator" in document and "dialog" not in document:
        raise EngineLoadFailed(
            "This bundle is for pictures and text (a text-generator node), which npurun-tui does not run yet.",
            mend="Choose a text model.",
        )
    if not isinstance(document, dict) or not isinstance(document.get("dialog"), dict):
        raise ModelFileDamaged(f"{one_line(file.name)} describes no dialog.", mend=MEND)
    return document


def _unreadable(file: Path, error: OSError) -> ModelFileDamaged:
    return ModelFileDamaged(
        f"{one_line(str(file), 200)} cannot be read ({error.strerror or error}).", mend=MEND
    )
