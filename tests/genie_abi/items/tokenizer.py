"""A small tokenizer in the form of `tokenizer.json`, made here: bytes, a few merges, two added tokens, a normalizer and
a template that adds a BOS, so that what is applied and what is not can be told apart."""

from __future__ import annotations

from typing import Any, Final

BOS: Final = 260
MARK: Final = 261
VOCABULARY: Final = 262

_PRINTABLE: Final = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def _letters() -> list[str]:
    """The 256 bytes as the characters that byte-level BPE writes for them, in the order of the bytes."""
    rest = [byte for byte in range(256) if byte not in _PRINTABLE]
    return [
        chr(byte) if byte in _PRINTABLE else chr(0x100 + rest.index(byte)) for byte in range(256)
    ]


def _added(number: int, text: str) -> dict[str, Any]:
    return {
        "id": number,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def document() -> dict[str, Any]:
    """The tokenizer: a byte's id is its value; 256 `he`, 257 `ll`, 258 `hell`, 259 `hello`."""
    vocabulary = {letter: byte for byte, letter in enumerate(_letters())}
    vocabulary |= {"he": 256, "ll": 257, "hell": 258, "hello": 259}
    begin = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    first = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(BOS, "<bos>"), _added(MARK, "<mark>")],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first],
            "pair": [begin, first, second],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [BOS], "tokens": ["<bos>"]}},
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": ["h e", "l l", "he ll", "hell o"],
        },
    }
