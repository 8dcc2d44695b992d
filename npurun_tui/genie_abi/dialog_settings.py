"""What is set on a dialog and asked of it between queries, and what is saved, encoded and decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.messages import Constraint
from npurun_tui.genie_abi.dialogs import NativeDialog, Tokenizer, limit
from npurun_tui.genie_abi.failure import AbiError, general, invalid_argument
from npurun_tui.genie_abi.library import Library, parse

UINT_32: Final = 12
OCCUPANCY: Final = 0
GENERATED: Final = 2
"""A parameter that 1.21 adds; its number is not documented."""


def set_stop_sequence(library: Library, handle: Any, pointer: Any) -> int:
    """`GenieDialog_setStopSequence`: NULL and `{}` clear."""
    native = library.get(handle, NativeDialog)
    document = {} if pointer == library.ffi.NULL else parse(library.text(pointer))
    if not isinstance(document, dict):
        raise AbiError(Status.ERROR_JSON_SCHEMA, "Stop sequences are an object.")
    sequences = document.get("stop-sequence", [])
    if not isinstance(sequences, list) or not all(isinstance(each, str) for each in sequences):
        raise AbiError(Status.ERROR_JSON_SCHEMA, "stop-sequence is a list of texts.")
    native.dialog.set_stop_sequences([each for each in sequences if each])
    return 0


def set_max_num_tokens(library: Library, handle: Any, count: int) -> int:
    """`GenieDialog_setMaxNumTokens`."""
    library.get(handle, NativeDialog).dialog.set_max_tokens(limit(count))
    return 0


def set_policy(library: Library, handle: Any, policy: int) -> int:
    """`GenieDialog_setPerformancePolicy`: any value is kept."""
    library.get(handle, NativeDialog).policy = policy
    return 0


def get_policy(library: Library, handle: Any, out: Any) -> int:
    """`GenieDialog_getPerformancePolicy`."""
    native = library.get(handle, NativeDialog)
    library.need(out)
    out[0] = native.policy
    return 0


def get_value(library: Library, handle: Any, key: int, allocate: Any, kind: Any, value: Any) -> int:
    """`GenieDialog_getValue`."""
    native = library.get(handle, NativeDialog)
    library.need(allocate, kind, value)
    if key == OCCUPANCY:
        number = native.dialog.context_occupancy
    elif key == GENERATED and library.version >= (1, 21, 0):
        number = native.generated
    else:
        raise invalid_argument("There is no such parameter.")
    kind[0] = UINT_32
    value.uint32Value = number
    return 0


def set_text(library: Library, handle: Any, *pointers: Any) -> int:
    """Settings that mean nothing on the CPU: priority, OEM key. Their arguments are checked."""
    library.get(handle, NativeDialog)
    for pointer in pointers:
        if not isinstance(pointer, int):
            library.text(pointer)
    return 0


def set_grammar(library: Library, handle: Any, kind: Any, file: Any) -> int:
    """`GenieDialog_setGrammar`: a JSON schema or a grammar, read at once; both pointers NULL remove it."""
    native = library.get(handle, NativeDialog)
    null = library.ffi.NULL
    constraint = None
    if not (kind == null and file == null):
        library.need(kind, file)
        constraint = _constraint(library.text(kind), Path(library.text(file, "path")))
    _as_status(lambda: native.dialog.set_constraint(constraint))
    return 0


def _constraint(kind: str, file: Path) -> Constraint:
    if kind not in ("json-schema", "ebnf"):
        raise general("Grammars of this kind are not implemented on the CPU.")
    try:
        text = file.read_text("utf-8")
        document = json.loads(text) if kind == "json-schema" else None
    except (OSError, ValueError, RecursionError) as error:
        raise general(f"The grammar cannot be read: {error}") from error
    if kind == "ebnf":
        return Constraint(grammar=text)
    if not isinstance(document, dict):
        raise AbiError(Status.ERROR_JSON_SCHEMA, "A schema is a JSON object.")
    return Constraint(json_schema=document)


# --- save, restore, tokens -----------------------------------------------------------------------


def save(library: Library, handle: Any, path: Any) -> int:
    """`GenieDialog_save`: `path` becomes a folder."""
    native = library.get(handle, NativeDialog)
    _as_status(lambda: native.dialog.save(Path(library.text(path, "path"))))
    return 0


def restore(library: Library, handle: Any, path: Any) -> int:
    """`GenieDialog_restore`."""
    native = library.get(handle, NativeDialog)
    _as_status(lambda: native.dialog.restore(Path(library.text(path, "path"))))
    return 0


def encode(library: Library, handle: Any, pointer: Any, allocate: Any, out: Any, count: Any) -> int:
    """`GenieTokenizer_encode`: 4 bytes a token; no tokens are -1."""
    library.need_after(handle, pointer, allocate, out, count)
    tokenizer = library.get(handle, Tokenizer)
    tokens = _as_status(lambda: tokenizer.dialog.tokenize(library.text(pointer)))
    if not tokens:
        raise general("There is nothing to encode.")
    library.fill(allocate, out, bytes(library.ffi.buffer(library.ffi.new("int32_t[]", tokens))))
    count[0] = len(tokens)
    return 0


def decode(library: Library, handle: Any, ids: Any, size: int, allocate: Any, out: Any) -> int:
    """`GenieTokenizer_decode`: NUL-terminated; no tokens are -2."""
    library.need_after(handle, allocate, out)
    tokenizer = library.get(handle, Tokenizer)
    if not size or ids == library.ffi.NULL:
        raise invalid_argument("There is nothing to decode.")
    tokens = list(library.ffi.unpack(ids, size))
    text = _as_status(lambda: tokenizer.dialog.detokenize(tokens))
    library.fill(allocate, out, text.encode("utf-8", "replace") + b"\x00")
    return 0


def _as_status(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except GenieError as error:
        raise AbiError(error.status, error.detail or str(error)) from error
