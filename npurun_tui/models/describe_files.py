"""What the small files of a bundle say, whatever shape they have: each value with the path of keys that leads to it.

Publishers nest the same facts differently from release to release, so nothing here knows a schema. JSON is read whole;
of YAML only lines `key: value` are, with their indentation, which is all that those files consist of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.genie.bundle import PATH_KEYS
from npurun_tui.errors import ModelFileDamaged
from npurun_tui.files import read_small

LARGEST: Final = 4 << 20
"""Bytes that are read of such a file; real ones have a few thousand."""

_DEEPEST: Final = 16
_MOST: Final = 20_000
_LINE: Final = re.compile(r"^(\s*(?:- )*)([\w.-]+):(?:\s+(.*))?$")

REQUIRED_KEYS: Final = frozenset({"path", "extensions", "ctx-bins", "model-bin", "lut-path"})
"""Those among them without whose file no dialog opens."""


class Facts:
    """The texts and numbers in one file, by the keys that lead to them: `genie.chat_template.user_prefix`."""

    def __init__(self, file: str, values: Mapping[str, str]) -> None:
        self.file = file
        self._values = values

    def get(self, *keys: str) -> str:
        """The first value whose key is one of `keys`, tried in order, wherever it stands; "" where there is none.

        The one with the shortest path is preferred: a fact about the whole is nearer to the top than one about a part.
        """
        for key in keys:
            found = [path for path in self._values if f".{path}".endswith(f".{key}")]
            if found:
                return self._values[min(found, key=len)]
        return ""

    def affix(self, name: str) -> str:
        """As `get` for a mark such as `user_prefix`, which may also stand as `prefix` below `user`."""
        for path, value in self._values.items():
            if f"_{path.replace('.', '_')}".endswith(f"_{name}"):
                return value
        return ""


def read_facts_file(file: Path) -> Facts:
    """The facts in a JSON or YAML file. One that is missing, too large or unreadable says nothing."""
    text = read_text(file)
    values: dict[str, str] = {}
    if file.suffix.lower() == ".json":
        try:
            pairs = _json_leaves(json.loads(text or "null"))
        except (ValueError, RecursionError):
            return Facts(file.name, {})
    else:
        pairs = _yaml_leaves(text)
    for path, value in pairs:
        if is_text(value):
            values.setdefault(path, value)
        if len(values) >= _MOST:
            break
    return Facts(file.name, values)


def read_text(file: Path) -> str:
    """The text of a small file; "" where it is missing, no file, too large or unreadable."""
    try:
        data = read_small(file, LARGEST)
    except OSError:
        return ""
    return (data or b"").decode("utf-8-sig", "replace")


def is_text(value: str) -> bool:
    """False for a text with half a surrogate pair in it, which JSON can spell and no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def check_paths(root: Path, document: Mapping[str, Any]) -> None:
    """See that every file that a Genie config names lies in its bundle `root`, and that the needed ones are there.

    Raises:
        ModelFileDamaged: one is absolute, leads out of the bundle, or is missing.
    """
    resolved = root.resolve()
    for key, value in _paths(document, 0):
        name = value.replace("\\", "/")
        place = (root / name).resolve()
        if name.startswith("/") or ":" in name or not place.is_relative_to(resolved):
            raise ModelFileDamaged(
                f"The bundle's config names {value[:200]!r}, which lies outside of the bundle.",
                mend="Put the file into the bundle and name it by its relative path.",
            )
        if key in REQUIRED_KEYS and not place.is_file():
            raise ModelFileDamaged(
                f"The bundle's config names {value[:200]!r}, which is not in the bundle.",
                mend="Get the whole bundle, or correct its config.",
            )


def _paths(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """`(key, path)` of each path in the document."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _paths(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in PATH_KEYS:
                yield from _paths(item, depth + 1)
                continue
            for each in item if isinstance(item, list) else [item]:
                if isinstance(each, str):
                    yield key, each


def _json_leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _json_leaves(item, _joined(path, str(key)), depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _json_leaves(item, path, depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path, str(value)


def _yaml_leaves(text: str) -> Iterator[tuple[str, str]]:
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent, key, rest = len(match[1]), match[2], (match[3] or "").strip()
        while above and above[-1][0] >= indent:
            above.pop()
        path = _joined(".".join(name for _, name in above), key)
        if not rest or rest.startswith("#"):
            above.append((indent, _joined("", key)))
        elif rest[0] not in "|>&*{[!":
            yield path, _yaml_scalar(rest)


def _yaml_scalar(text: str) -> str:
    if text[0] == '"':
        try:  # the escapes of YAML's double quotes are JSON's, but for rare ones
            value, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return text
        return str(value)
    if text[0] == "'":
        end = re.match(r"'((?:[^']|'')*)'", text)
        return end[1].replace("''", "'") if end else text
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def _joined(path: str, key: str) -> str:
    key = re.sub(r"[^a-z0-9]+", "_", key.lower())
    return f"{path}.{key}" if path else key
