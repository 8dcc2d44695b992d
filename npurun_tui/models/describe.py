"""What a Genie bundle or a GGUF file says of itself, as the manifest that it would get.

Everything is read from the model's own files and each value remembers where it was read, since a manifest that guesses
from a name sends a wrong prompt to a wrong model. What no file says is asked for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie.graphs import Graphs
from npurun_tui.engine.genie.vocabulary import Vocabulary, read_vocabulary
from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.errors import ManifestInvalid, ModelError, ModelFileDamaged, ModelSaysTooLittle
from npurun_tui.files import from_home
from npurun_tui.models import bundles
from npurun_tui.models.describe_files import Facts, read_facts_file, read_text
from npurun_tui.models.describe_gguf import SHARD, describe_gguf
from npurun_tui.models.describe_template import cut_safely, from_affixes, from_tokens
from npurun_tui.models.describe_values import (
    GIVEN,
    Values,
    check_given,
    clean_version,
    kind_of,
    offer_facts,
    offer_manifest,
)
from npurun_tui.models.manifest import FILE_NAME, LOCAL, NO_SDK, Files, Manifest
from npurun_tui.models.names import MAX_NAME, fault_of_name, normalise
from npurun_tui.text import one_line

_FACT_FILES: Final = ("config.json", "metadata.json", "metadata.yaml", "tool-versions.yaml")
_AFFIXES: Final = (
    "global_prefix",
    *(
        f"{role}_{side}"
        for role in ("system", "user", "assistant")
        for side in ("prefix", "suffix")
    ),
)
"""As in the `metadata.json` of qai_hub_models (`GenieChatTemplate`)."""

_WHAT: Final = {"--arch": "architecture", "--quant": "quantisation"}
_SUCH_AS: Final = {"--arch": "qwen3", "--quant": "w4a16"}


@dataclass(frozen=True, slots=True)
class Description:
    """A manifest in the making: complete but for the hashes, and perhaps for what `missing` names."""

    manifest: Manifest
    """Its paths are relative to `root`. `arch` and `quant` are empty where no file says them, and the flags are what an
    installation would decide."""
    root: Path
    """The folder of the model's files: the bundle's root, or the folder of the GGUF file."""
    origins: dict[str, str]
    """Field of `npurun.json` -> the file that it was read from, or `given`."""
    special: str = ""
    """The special tokens, in words: `BOS 1 <s>, EOS 2 </s>`."""
    graphs: Graphs = field(default_factory=Graphs)
    notes: tuple[str, ...] = ()
    """What was found and left out, with the reason: one sentence each."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The flags that have to be given, as no file says their value."""
        manifest = self.manifest
        return tuple(
            flag
            for flag, value in (("--arch", manifest.arch), ("--quant", manifest.quant))
            if not value
        )

    @property
    def is_bundle(self) -> bool:
        """True for a Genie bundle, False for a GGUF file."""
        return self.manifest.backend == "genie"


def describe(
    path: Path,
    *,
    name: str = "",
    arch: str = "",
    quant: str = "",
    qnn_sdk: str = "",
    check: Callable[[], None] = lambda: None,
) -> Description:
    """What `path` (a bundle's folder, a GGUF file, or a folder with one) is; what is given goes before what is read.

    Blocking: it reads the small files, renders a chat template in a child process, some 0.2 s, and searches a context
    binary that names no graphs to its end, a second for each GB. `check` is called meanwhile; what it raises ends it.

    Raises:
        ModelFileDamaged: it is neither, or a file of it is missing or not what it should be.
        ModelSaysTooLittle: no file says the architecture or the quantisation.
        ModelError: the name cannot be a model's.
        UsageError: a value that was given cannot be one.
    """
    found = examine(path, name=name, arch=arch, quant=quant, qnn_sdk=qnn_sdk, check=check)
    if (
        found.missing
    ):  # all of it in one sentence: who is asked one thing after the other tries as often
        whats = " and its ".join(_WHAT[flag] for flag in found.missing)
        raise ModelSaysTooLittle(
            f"No file of the model says its {whats}.",
            flags=found.missing,
            mend=f"Give {'it' if len(found.missing) == 1 else 'them'}, such as "
            f"`{' '.join(f'{flag} {_SUCH_AS[flag]}' for flag in found.missing)}`"
            f"{' (phi3, llama, qwen2, qwen3, qwen2-vl)' if '--arch' in found.missing else ''}.",
        )
    return found


def examine(
    path: Path,
    *,
    name: str = "",
    arch: str = "",
    quant: str = "",
    qnn_sdk: str = "",
    check: Callable[[], None] = lambda: None,
) -> Description:
    """As `describe`, but what no file says is left empty and stands in `Description.missing`."""
    check_given(arch, quant, qnn_sdk)
    values = Values({"arch": arch, "quant": quant, "qnn_sdk": clean_version(qnn_sdk)})
    try:
        path = from_home(path).absolute()
        values.origins["name"] = GIVEN if name else f"the name of {one_line(path.name, 60)}"
        name = normalise(name) if name else _name_of(path)
        file = _gguf_in(path)
        values.origins["backend"] = bundles.CONFIG if file is None else "its form"
        if file is None:
            return _bundle(path, name, values, check)
        manifest, special, notes = describe_gguf(file, name, values)
        return Description(manifest, file.parent, values.origins, special, notes=tuple(notes))
    except (OSError, ValueError, RuntimeError) as error:
        # `~nobody`, a link that leads to itself, a NUL, half a surrogate: all of them name nothing that can be read.
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        shown = one_line(str(path), 300)
        raise ModelFileDamaged(f"{shown} cannot be read: {one_line(why, 200)}.") from error


def _name_of(path: Path) -> str:
    """A model name made of the file's or folder's. Names may be made of names; nothing else is."""
    stem = path.stem if path.suffix.lower() == ".gguf" else path.resolve().name
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("._-")[:MAX_NAME].rstrip("._-")
    if fault_of_name(name):
        raise ModelError(
            f"No model name can be made of {one_line(repr(stem), 80)}.",
            mend="Give one with --name.",
        )
    return name


def _gguf_in(path: Path) -> Path | None:
    """The GGUF file that `path` is, or that lies alone in it; None where it is a folder of something else.

    Raises:
        ModelFileDamaged: there is nothing, or no model.
    """
    shown = one_line(str(path), 300)
    if path.is_dir():
        files = [] if (path / bundles.CONFIG).is_file() else _gguf_files(path)
        if len(files) > 1 and not all(SHARD.search(file.name) for file in files):
            raise ModelFileDamaged(
                f"{shown} holds {len(files)} GGUF files.", mend="Name the one that is meant."
            )
        return files[0] if files else None
    if not path.is_file():
        if path.exists():
            raise ModelFileDamaged(f"{shown} is neither a folder nor a regular file.")
        raise ModelFileDamaged(f"There is no file or folder {shown}.")
    if path.suffix.lower() != ".gguf":
        raise ModelFileDamaged(
            f"{shown} is neither a .gguf file nor a folder with a Genie bundle.",
            mend="Unpack an archive first, and name the folder.",
        )
    return path


def _gguf_files(folder: Path) -> list[Path]:
    """Those in `folder`, without what macOS hides beside each file."""
    return [
        file
        for file in sorted(folder.glob("*.[gG][gG][uU][fF]"))
        if not file.name.startswith(".") and file.is_file()
    ]


# --- bundles -----------------------------------------------------------------------------------


def _bundle(path: Path, name: str, values: Values, check: Callable[[], None]) -> Description:
    try:
        root = bundles.find_bundle(path, one_line(str(path), 300))
    except ModelFileDamaged as error:
        mend = "Name the folder of one bundle, or a .gguf file."
        raise ModelFileDamaged(error.message, mend=mend) from None
    facts = bundles.read_facts(root, check)
    document = bundles.load_config(root / bundles.CONFIG)
    tokenizer = _tokenizer_path(document)
    vocabulary = read_vocabulary(root / tokenizer, root / "tokenizer_config.json")
    files = [read_facts_file(root / file) for file in _FACT_FILES]
    values.origins |= {"vocab": bundles.CONFIG, "context": bundles.CONFIG}
    offer_facts(values, files)
    old = _old_manifest(path)
    if old:
        offer_manifest(values, old)
    template, origin, notes = _template(root, tokenizer, vocabulary, files, old)
    if template:
        values.origins["chat_template"] = origin
    tiers = facts.graphs.contexts
    if tiers:
        values.origins["tiers"] = "graph names in the context binaries"
    manifest = Manifest(
        name=name,
        arch=values["arch"],
        vocab=facts.vocabulary,
        context=facts.context,
        quant=values["quant"],
        quant_kind=kind_of(values["quant"]),
        files=Files(tokenizer=tokenizer, genie_config=bundles.CONFIG),
        backend="genie",
        qnn_sdk=values["qnn_sdk"] or NO_SDK,
        template=template,
        source=LOCAL,
        tiers=tiers,
        flags=bundles.decide_flags(root, facts.graphs, old.flags if old else ()),
    )
    special = _special(document["dialog"]["context"], vocabulary)
    if special:
        values.origins["special_tokens"] = bundles.CONFIG
    return Description(manifest, root, values.origins, special, facts.graphs, tuple(notes))


def _special(context: dict[str, Any], vocabulary: Vocabulary) -> str:
    """The tokens that the engine knows, which its config has as ids; their texts where the tokenizer names them."""
    words = []
    for name, key, text in (
        ("BOS", "bos-token", vocabulary.bos),
        ("EOS", "eos-token", vocabulary.eos),
    ):
        ids = context.get(key)
        ids = [each for each in (ids if isinstance(ids, list) else [ids]) if isinstance(each, int)]
        if ids and ids != [-1]:
            words.append(f"{name} {' '.join(map(str, ids[:8]))} {text}".strip())
    return ", ".join(words)


def _tokenizer_path(document: dict[str, object]) -> str:
    dialog = document.get("dialog")
    section = dialog.get("tokenizer") if isinstance(dialog, dict) else None
    path = section.get("path") if isinstance(section, dict) else None
    if not isinstance(path, str):
        raise ModelFileDamaged(f"{bundles.CONFIG} names no tokenizer.")
    return posixpath.normpath(path.replace("\\", "/"))


def _old_manifest(folder: Path) -> Manifest | None:
    """The manifest that lies in `folder` already, as the Rust program writes one; None where it is none."""
    try:
        return Manifest.read(folder)
    except ManifestInvalid:
        return None


def _template(
    root: Path,
    tokenizer: str,
    vocabulary: Vocabulary,
    files: list[Facts],
    old: Manifest | None,
) -> tuple[SimpleTemplate | None, str, list[str]]:
    """`(template, where it was read, notes)`: the tokenizer's own, else the publisher's pieces, else an older
    manifest's, else its tokens'."""
    notes: list[str] = []
    for file, source in _jinja(root, vocabulary):
        template, why = cut_safely(source, vocabulary.bos, vocabulary.eos)
        if template:
            return template, f"{file} (Jinja, cut apart)", notes
        used = "is used as it is" if vocabulary.template else "is not used"
        notes.append(f"{file} has a chat template that {used}: {why.rstrip('.')}.")
        if (
            vocabulary.template
        ):  # the engine uses it itself, so pieces from elsewhere could only contradict it
            return None, "", notes
    for facts in files:
        affixes = {affix: facts.affix(affix) for affix in _AFFIXES}
        system = facts.get("default_system_prompt", "system_prompt")
        if template := from_affixes(affixes, system):
            return template, facts.file, notes
    if old and old.template:
        return old.template, FILE_NAME, notes
    template, family = from_tokens(vocabulary.special)
    if template is None:
        notes.append("No file has a chat template, and the control tokens are no known family's.")
    return template, f"{tokenizer} (its control tokens are {family}'s)", notes


def _jinja(root: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    if vocabulary.template:
        yield "tokenizer_config.json", vocabulary.template
    elif source := read_text(root / "chat_template.jinja"):
        yield "chat_template.jinja", source
