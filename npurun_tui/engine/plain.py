"""Values from outside as the engine takes them: plain JSON, bounded in depth, its texts such as an engine can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from npurun_tui.errors import EngineError

MAX_DEPTH: Final = 64
"""Lists and objects in one another; templates and grammars walk them by recursion."""


def clean(text: str) -> str:
    """`text` as an engine can take it: no NUL (it would end a C string), no lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def plain(value: object, texts: Callable[[str], str] = clean) -> Any:
    """A copy of `value` made of dicts, lists and scalars, with `texts` applied to each text, keys included.

    Raises:
        EngineError: it is nested too deeply, or is no JSON value.
    """
    return _plain(value, texts, MAX_DEPTH)


def _plain(value: object, texts: Callable[[str], str], left: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return texts(value)
    if left == 0:
        raise EngineError(f"A value is nested in more than {MAX_DEPTH} lists and objects.")
    if isinstance(value, Mapping):
        return {texts(str(key)): _plain(each, texts, left - 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, texts, left - 1) for each in value]
    raise EngineError(f"A value of the kind {type(value).__name__} is no JSON.")
