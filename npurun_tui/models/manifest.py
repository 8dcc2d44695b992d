"""`npurun.json`: what a model's folder says of itself, read and written so that the Rust program reads it too.

The Rust program's fields are kept as it has them. Ours stand beside them and it ignores them: `backend` ("genie"
where absent), `quant_label`, `hash_origin`, `licence`, `source`, `parameters`, `archive_sha256`, `sizes`, `tiers`,
`flags`. A manifest may come from anywhere, so everything in it is checked before any of it is used, and every fault is
one sentence that names the file and field.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast

from npurun_tui.engine.spec import Backend, ModelSpec, SimpleTemplate
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.files import write_atomic
from npurun_tui.models.fields import MAX_ADDRESS, Fields, load_object
from npurun_tui.models.names import fault_of_relative_path
from npurun_tui.models.quantisation import RUST_KINDS, rust_kind
from npurun_tui.models.sizes import check_sizes
from npurun_tui.text import one_line

FILE_NAME: Final = "npurun.json"
NO_SDK: Final = "0.0.0"
"""The `qnn_sdk` of a model that needs no QNN SDK, or of a bundle whose release is not known; the Rust program insists
on three numbers."""

_SOME_SDK: Final = "2.0.0"
"""What is written for such a bundle: the Rust program means to refuse one of another major release than its own, and
every release that has Genie is a 2. None is 2.0.0."""

LOCAL: Final = "local"
"""The `source` of a model that was made of files on this machine."""

HashOrigin = Literal["pinned", "recorded", ""]
"""`pinned`: compared with a value known before the pull. `recorded`: computed on the first one."""

_MAX_TEMPLATE: Final = 65_536
_MAX_HASHES: Final = 10_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = re.compile(r"[0-9]{1,10}\.[0-9]{1,10}\.[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Files:
    """Paths inside the model's folder, forward slashes; empty where there is none."""

    model: str = ""
    ctx: str = ""
    tokenizer: str = ""
    config: str = ""
    genie_config: str = ""

    @property
    def main(self) -> str:
        """The file that the engine opens first."""
        return self.model or self.genie_config


@dataclass(frozen=True, slots=True)
class Flag:
    """One decision about a key of a bundle's config, and the reason for it."""

    file: str
    """The config's name inside the bundle."""
    key: str
    value: bool | None
    """None: it was left out."""
    why: str

    @property
    def words(self) -> str:
        """`enable-graph-switching on in genie_config.json: graphs are named prompt_ and token_`."""
        state = {True: "on", False: "off", None: "not set"}[self.value]
        return f"{self.key} {state} in {self.file}: {self.why}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model. Texts are as they were written: what shows them passes them through `text.one_line`."""

    name: str
    arch: str
    vocab: int
    context: int
    """The context window that the model was made for, in tokens."""
    quant: str
    """The exact label: `Q4_1`, `w4a16`."""
    files: Files
    backend: Backend = "genie"
    version: str = "0.1.0"
    qnn_sdk: str = NO_SDK
    template: SimpleTemplate | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    """Relative path (or, from the Rust program, a name of `files`) -> 64 lowercase hex digits."""
    hash_origin: HashOrigin = ""
    licence: str = ""
    source: str = ""
    parameters: str = ""
    """The parameter count as people write it: `135M`."""
    quant_kind: str = ""
    """The word in the Rust program's `quant`; empty: the nearest to `quant`."""
    archive_sha256: str = ""
    """Of the archive that it came in, as 64 lowercase hex digits; empty where there was none."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Relative path -> bytes, of the files that nobody edits (`models.sizes`)."""
    tiers: tuple[int, ...] = ()
    """The context lengths that its graphs were compiled for, in tokens, ascending; empty where it has none."""
    flags: tuple[Flag, ...] = ()
    """What was decided about its config when it was installed."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest in `folder`.

        Raises:
            ManifestInvalid: there is none, it cannot be read, or a field cannot be true.
        """
        file = folder / FILE_NAME
        return _parse(Fields(file, load_object(file)))

    def to_json(self) -> dict[str, Any]:
        """The document of `npurun.json`, keys in the order that people read them."""
        document: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "arch": self.arch,
            "vocab": self.vocab,
            "context": self.context,
            "quant": self.quant_kind or rust_kind(self.quant),
            "quant_label": self.quant,
            "qnn_sdk": _SOME_SDK
            if self.backend == "genie" and self.qnn_sdk == NO_SDK
            else self.qnn_sdk,
            "backend": self.backend,
            "files": {key: path for key, path in asdict(self.files).items() if path},
        }
        if self.template:
            document["chat_template"] = _template_document(self.template)
        document["sha256"] = self.sha256
        for key in ("hash_origin", "licence", "source", "parameters", "archive_sha256"):
            if value := getattr(self, key):
                document[key] = value
        if self.sizes:
            document["sizes"] = self.sizes
        if self.tiers:
            document["tiers"] = list(self.tiers)
        if self.flags:
            document["flags"] = [asdict(flag) for flag in self.flags]
        return document

    def check(self, folder: Path) -> None:
        """See whether `read` would take what `write` would put into `folder`. Raises ManifestInvalid."""
        _parse(Fields(folder / FILE_NAME, self.to_json()))

    def write(self, folder: Path) -> None:
        """Write `npurun.json` into `folder`, atomically and durably. Raises OSError."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomic(folder / FILE_NAME, text.encode(), private=False)

    def spec(self, folder: Path, *, context: int = 0, threads: int = 0) -> ModelSpec:
        """What the engine needs to load the model that lies in `folder`; `context` and `threads` 0 choose.

        Raises:
            ModelFileDamaged: as `main_file`.
        """
        main = main_file(self, folder)
        return ModelSpec(
            name=self.name,
            backend=self.backend,
            folder=folder.absolute(),
            model_file=main.absolute(),
            context=context,
            threads=threads,
            template=self.template,
        )


def main_file(manifest: Manifest, folder: Path) -> Path:
    """The file that the engine opens first.

    Raises:
        ModelFileDamaged: it is not there or empty, or a file has another size than when it was installed.
    """
    path = folder / manifest.files.main
    mend = f"`npurun-tui pull {one_line(folder.name, 100)} --force` replaces it."
    if manifest.source == LOCAL:
        mend = "Bring it here again from where it came: `npurun-tui convert manifest --force`."
    try:
        present = path.is_file() and path.stat().st_size > 0
    except OSError:
        present = False
    if not present:
        shown = one_line(str(path), 400)
        raise ModelFileDamaged(f"The model file {shown} is missing or empty.", mend=mend)
    check_sizes(folder, manifest.sizes, mend)
    return path


def _parse(fields: Fields) -> Manifest:
    backend = fields.text("backend", default="genie")
    if backend not in {"genie", "llama.cpp"}:
        raise fields.invalid("backend", 'must be "genie" or "llama.cpp"')
    kind = fields.text("quant")
    if kind not in RUST_KINDS:
        raise fields.invalid("quant", f"must be one of {', '.join(RUST_KINDS)}")
    origin = fields.text("hash_origin", default="")
    if origin not in {"pinned", "recorded", ""}:
        raise fields.invalid("hash_origin", 'must be "pinned" or "recorded"')
    return Manifest(
        name=fields.text("name", limit=200),
        version=fields.text("version", limit=64),
        arch=fields.text("arch", default="", limit=64),
        vocab=fields.number("vocab"),
        context=fields.number("context"),
        quant=fields.text("quant_label", default="", limit=64) or kind,
        quant_kind=kind,
        qnn_sdk=_sdk(fields),
        backend=cast("Backend", backend),
        files=_files(fields, backend),
        template=parse_template(fields.object("chat_template"))
        if fields.has("chat_template")
        else None,
        sha256=_hashes(fields.object("sha256")),
        hash_origin=cast("HashOrigin", origin),
        licence=fields.text("licence", default=""),
        source=fields.text("source", default="", limit=MAX_ADDRESS),
        parameters=fields.text("parameters", default="", limit=64),
        archive_sha256=_hash(fields, "archive_sha256") if fields.has("archive_sha256") else "",
        sizes=_sizes(fields.object("sizes")),
        tiers=fields.numbers("tiers"),
        flags=tuple(_flag(item) for item in fields.objects("flags")),
    )


def _flag(item: Fields) -> Flag:
    return Flag(
        file=item.text("file"),
        key=item.text("key"),
        value=item.switch("value"),
        why=item.text("why"),
    )


def _sdk(fields: Fields) -> str:
    value = fields.text("qnn_sdk", limit=64)
    if _VERSION.fullmatch(re.split("[-+]", value, maxsplit=1)[0]) is None:
        raise fields.invalid("qnn_sdk", "must be MAJOR.MINOR.PATCH")
    return NO_SDK if value == _SOME_SDK else value


def _files(fields: Fields, backend: str) -> Files:
    section = fields.object("files")
    files = Files(
        model=section.path("model"),
        ctx=section.path("ctx"),
        tokenizer=section.path("tokenizer"),
        config=section.path("config"),
        genie_config=section.path("genie_config"),
    )
    if not files.main:
        raise fields.invalid("files", "must name model or genie_config")
    if backend == "llama.cpp" and not files.model.lower().endswith(".gguf"):
        raise section.invalid("model", "must name a .gguf file")
    return files


def parse_template(section: Fields) -> SimpleTemplate:
    """The chat template that stands in `section`, of a manifest or a catalog. Raises ManifestInvalid."""
    template = section.text("template", limit=_MAX_TEMPLATE)
    if "{user}" not in template:
        raise section.invalid("template", "must have {user} in it")
    return SimpleTemplate(
        template=template,
        system_prompt=section.text("system_prompt", default="", limit=_MAX_TEMPLATE),
        assistant_turn=section.text("assistant_turn", default="", limit=_MAX_TEMPLATE),
        next_user_turn=section.text("next_user_turn", default="", limit=_MAX_TEMPLATE),
    )


def _template_document(template: SimpleTemplate) -> dict[str, str]:
    document = {"system_prompt": template.system_prompt, "template": template.template}
    for key in ("assistant_turn", "next_user_turn"):
        if value := getattr(template, key):
            document[key] = value
    return document


def _paths(section: Fields) -> list[tuple[str, str]]:
    """`(name, path)` of `section`'s fields, each of which must be a path inside the model's folder.

    The Rust program does not look at these names, so one that Windows wrote may have backslashes.
    """
    names = section.names()
    if len(names) > _MAX_HASHES:
        raise section.invalid("", f"has more than {_MAX_HASHES:,} entries")
    paths = [name.replace("\\", "/") for name in names]
    for name, path in zip(names, paths, strict=True):
        if fault := fault_of_relative_path(path):
            raise section.invalid(name, fault)
    return list(zip(names, paths, strict=True))


def _sizes(section: Fields) -> dict[str, int]:
    return {path: section.bytes(name) for name, path in _paths(section)}


def _hashes(section: Fields) -> dict[str, str]:
    return {path: _hash(section, name) for name, path in _paths(section)}


def _hash(section: Fields, name: str) -> str:
    value = section.text(name, limit=64)
    if _SHA256.fullmatch(value) is None:
        raise section.invalid(name, "must be 64 lowercase hexadecimal digits")
    return value
