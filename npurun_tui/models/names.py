"""The rule for model names, and for the relative paths inside a model's folder.

Both come from outside (a command line, a manifest, later an HTTP client), and both end up in a path. What passes here
names something inside the models' folder on every platform; everything else is refused with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from npurun_tui.errors import ModelError, ModelNotFound
from npurun_tui.text import one_line

MAX_NAME: Final = 100
_MOST_LIKE: Final = 3

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_DEVICES: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def fault_of_name(name: str) -> str:
    """Why `name` cannot be a model's name, as the end of a sentence; empty where it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if _NAME.fullmatch(name) is None:
        return "may hold only a-z, 0-9, dot, dash and underscore, and starts with a letter or digit"
    if name.endswith("."):
        return "may not end with a dot"
    if _DEVICES.fullmatch(name) is not None:
        return "is a device's name on Windows"
    return ""


def normalise(name: str) -> str:
    """`name` as the store knows it: the tag `:latest` that Ollama clients add is taken off.

    Raises:
        ModelError: it cannot be a model's name.
    """
    bare = name.removesuffix(":latest")
    if fault := fault_of_name(bare):
        raise ModelError(
            f"{one_line(repr(name), 80)} is not a model name: it {fault}.",
            mend="`npurun-tui list` shows the models that are here.",
        )
    return bare


def not_here(
    name: str, mend: str = "`npurun-tui list` shows what is here, and what can be pulled."
) -> ModelNotFound:
    """The refusal of a name that no model on this machine has. It may be anybody's text."""
    shown = one_line(name, 100) if name.strip() else repr(name)[:100]
    return ModelNotFound(f"There is no model called {shown} on this machine.", mend=mend)


def likely(wrong: str, names: Iterable[str]) -> list[str]:
    """Up to three of `names` that may be meant by `wrong`, which is anybody's text: `phi3.5` is `phi-3.5-mini`."""
    from difflib import get_close_matches  # only who mistypes needs it

    wrong, names = wrong.lower()[:MAX_NAME], list(names)
    core = _letters(wrong)
    like = [name for name in names if len(core) > 2 and core in _letters(name)]
    return (like or get_close_matches(wrong, names, _MOST_LIKE, 0.75))[:_MOST_LIKE]


def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


def fault_of_relative_path(path: str) -> str:
    """Why `path` cannot name a file inside a model's folder, as the end of a sentence; empty where it can.

    Forward slashes only, as the Rust program writes them; a colon would be a drive or an NTFS stream.
    """
    parts = path.split("/")
    faults = {
        "is empty": not path,
        "is longer than 1,000 characters": len(path) > 1000,
        "has control characters in it": _CONTROL.search(path) is not None,
        "holds half of a surrogate pair": any("\ud800" <= each <= "\udfff" for each in path),
        "has a backslash or a colon in it": "\\" in path or ":" in path,
        "is absolute": path.startswith("/"),
        "leads out of the model's folder": ".." in parts,
        "has an empty part, or one that ends with a dot or a space": any(
            not part or part[-1] in ". " for part in parts
        ),
        "has a part of more than 255 bytes": any(
            len(part.encode("utf-8", "replace")) > 255 for part in parts
        ),
        "has one of the characters < > | ? * or a quotation mark in it": bool(
            set('<>|?*"') & set(path)
        ),
        "names a Windows device": any(_DEVICES.fullmatch(part) is not None for part in parts),
    }
    return next((fault for fault, found in faults.items() if found), "")
