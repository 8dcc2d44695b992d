"""What a bundle's tokenizer files say of control tokens and of the chat template. Genie itself knows neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from npurun_tui.errors import ModelFileDamaged
from npurun_tui.files import read_small
from npurun_tui.text import one_line

_LARGEST: Final = 48 << 20
"""Bytes; the tokenizers of 256,000 tokens have 35 MB. JSON made to be costly takes 25 times as much memory."""

MEND: Final = (
    "Put the right file back into the model's folder, or pull the model again with --force."
)
"""For a file of a bundle."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The parts of `tokenizer.json` and `tokenizer_config.json` that a chat needs."""

    special: tuple[str, ...] = ()
    """Texts that the tokenizer turns into one control token each."""
    template: str = ""
    """Jinja source; "" where there is none."""
    bos: str = ""
    eos: str = ""
    texts: Mapping[int, str] = field(default_factory=dict, repr=False)
    """Id -> text of the `special` ones."""


def read_vocabulary(tokenizer: Path, config: Path) -> Vocabulary:
    """Read both files; `config` may be missing.

    Raises:
        ModelFileDamaged: one of them cannot be read, or is not what it should be.
    """
    added = _object(tokenizer).get("added_tokens")
    special = [
        token
        for token in (added if isinstance(added, list) else ())
        if isinstance(token, dict) and token.get("special") is True and _text(token.get("content"))
    ]
    settings = _object(config) if config.exists() else {}
    return Vocabulary(
        tuple(token["content"] for token in special),
        chosen_template(settings.get("chat_template")),
        _token(settings.get("bos_token")),
        _token(settings.get("eos_token")),
        {token["id"]: token["content"] for token in special if isinstance(token.get("id"), int)},
    )


def _object(file: Path) -> dict[str, Any]:
    shown = one_line(file.name)
    try:
        data = read_small(file, _LARGEST)
        if data is None:
            raise ModelFileDamaged(f"{shown} is too large for a tokenizer.", mend=MEND)
        document = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        why = error.strerror or error
        raise ModelFileDamaged(f"{shown} cannot be read ({why}).", mend=MEND) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileDamaged(f"{shown} is not JSON.", mend=MEND) from error
    if not isinstance(document, dict):
        raise ModelFileDamaged(f"{shown} must hold one JSON object.", mend=MEND)
    return document


def chosen_template(value: object) -> str:
    """The template in a tokenizer config's `chat_template`; of several named ones, the default; "" for none."""
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else ""


def _token(value: object) -> str:
    """A token is written as its text, or as an object with it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
