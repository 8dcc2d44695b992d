"""The one node that runs here: a text encoder that looks embeddings up in a table, and the pipeline round it.

It needs no model, only a tokenizer and a table of float32, one row a token. The tokenizer is Hugging Face's own,
since that is what the real library's tokenization equals; it is an optional dependency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError, general
from npurun_tui.genie_abi.library import Library
from npurun_tui.genie_abi.nodes import get

TEXT_INPUT: Final = 100
EMBEDDING_OUTPUT: Final = 101
ROOTS: Final = ("text-encoder", "lut-encoder")


@dataclass(eq=False, slots=True)
class Encoder:
    """A text encoder and its last text. It is connected to nothing here, and so a second text replaces the first."""

    tokenizer: Any
    table: bytes
    width: int
    """Values in a row."""
    tokens: list[int] = field(default_factory=list)
    fresh: bool = False
    """The text has come since the last execute or reset."""
    callback: Any = None

    def put(self, text: str) -> None:
        """Take the tokens of `text`: special ones parsed, none added."""
        self.tokens = self.tokenizer.encode(text, add_special_tokens=False).ids
        self.fresh = True

    def rows(self) -> bytes:
        """The embeddings of all tokens. Raises AbiError -1 for a token that the table has no row for."""
        size = 4 * self.width
        if any((token + 1) * size > len(self.table) for token in self.tokens):
            raise general("The table has no row for a token.")
        return b"".join(self.table[token * size : (token + 1) * size] for token in self.tokens)


@dataclass(eq=False, slots=True)
class Pipeline:
    """Nodes that are executed together."""

    nodes: list[Encoder] = field(default_factory=list)


def create_node(library: Library, handle: Any, out: Any) -> int:
    """`GenieNode_create`: the root key decides what it is."""
    library.need(handle)
    document = get(library, handle, "NodeConfig").document
    library.need(out)
    if not document:
        raise AbiError(Status.ERROR_MEM_ALLOC, "The node's config is empty.")
    root = next(iter(document)) if isinstance(document, dict) else ""
    if root not in ROOTS:
        raise general(f"The CPU has no node {root!r}.")
    library.give(out, _open(document[root]))
    return 0


def _open(block: Any) -> Encoder:
    try:
        path, table = block["tokenizer"]["path"], block["lut"]["lut-path"]
        width, kind = int(block["lut"]["size"]), block["lut"].get("datatype", "float32")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise general(f"The encoder's config lacks {error}.") from error
    if kind != "float32" or width <= 0:
        raise general("Only tables of float32 can be looked up here.")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise general("The text encoder needs the library `tokenizers`.") from error
    if not Path(path).is_file():
        raise general(f"Failed to open the tokenizer : {path}")
    try:
        return Encoder(Tokenizer.from_file(str(path)), Path(table).read_bytes(), width)
    except OSError as error:
        raise general(f"Failed to open the table : {table}") from error


def set_embedding_callback(library: Library, handle: Any, name: int, callback: Any) -> int:
    """`GenieNode_setEmbeddingCallback`."""
    node = library.get(handle, Encoder)
    library.need(callback)
    _only(name, EMBEDDING_OUTPUT)
    node.callback = callback
    return 0


def set_data(library: Library, handle: Any, name: int, data: Any, size: int, config: Any) -> int:
    """`GenieNode_setData`: text up to its NUL, whatever the size says."""
    del size, config
    node = library.get(handle, Encoder)
    library.need(data)
    _only(name, TEXT_INPUT)
    node.put(library.text(library.ffi.cast("const char*", data)))
    return 0


def _only(name: int, known: int) -> None:
    if name != known:
        raise general("The node has no such input or output.")


def borrow_nothing(library: Library, handle: Any, *_arguments: Any) -> int:
    """The handles that an encoder has none of."""
    library.get(handle, Encoder)
    raise AbiError(Status.ERROR_GET_HANDLE_FAILED, "A text encoder has none.")


def free_node(library: Library, handle: Any) -> int:
    """`GenieNode_free`."""
    library.free(handle, Encoder)
    return 0


# --- pipelines -----------------------------------------------------------------------------------


def create_pipeline(library: Library, handle: Any, out: Any) -> int:
    """`GeniePipeline_create`."""
    library.need(out)
    get(library, handle, "PipelineConfig")
    library.give(out, Pipeline())
    return 0


def add_node(library: Library, handle: Any, other: Any) -> int:
    """`GeniePipeline_addNode`: once each."""
    pipeline, node = library.get(handle, Pipeline), library.get(other, Encoder)
    if node in pipeline.nodes:
        raise general("The node is in the pipeline already.")
    pipeline.nodes.append(node)
    return 0


def connect(library: Library, handle: Any, *ends: Any) -> int:
    """`GeniePipeline_connect`. Before 1.21 NULL for a node was no error, whatever the pipeline."""
    nodes = [end for end in ends if not isinstance(end, int)]
    if library.ffi.NULL in nodes and library.version < (1, 21, 0):
        return 0
    library.get(handle, Pipeline)
    for node in nodes:
        library.get(node, Encoder)
    raise general("Text encoders have no inputs that could be connected.")


def execute(library: Library, handle: Any, user: Any) -> int:
    """`GeniePipeline_execute`: one callback for each encoder.

    As the real library has it, what was given before is given again with a size of 0, and without any text the
    embedding has rank 0.
    """
    ffi = library.ffi
    for node in library.get(handle, Pipeline).nodes:
        rows, size = node.rows(), 0
        if node.fresh:
            size, node.fresh = len(rows), False
        if node.callback is not None:
            shape = [len(node.tokens), node.width] if node.tokens else []
            dimensions = ffi.new("uint32_t[]", shape or [0])
            node.callback(dimensions, len(shape), size, ffi.from_buffer(rows), user)
    return 0


def reset_pipeline(library: Library, handle: Any) -> int:
    """`GeniePipeline_reset`: what was put in is old."""
    for node in library.get(handle, Pipeline).nodes:
        node.fresh = False
    return 0


def free_pipeline(library: Library, handle: Any) -> int:
    """`GeniePipeline_free`."""
    library.free(handle, Pipeline)
    return 0
