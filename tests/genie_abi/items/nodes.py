"""Items 34b, 34c and 59 to 62: nodes and pipelines. A LUT text encoder needs no model: row t of its table holds t, so
the embedding that it gives tells the tokens' ids."""

from __future__ import annotations

import array
import json
from dataclasses import dataclass, field
from typing import Any, Final

from tests.genie_abi.items.tokenizer import BOS, MARK, VOCABULARY, document
from tests.genie_abi.items.world import JSON, World, item

TEXT_INPUT: Final = 100
EMBEDDING_OUTPUT: Final = 101
WIDTH: Final = 2


@item("59", "node and pipeline configs take any JSON; nodes do not")
def any_json(world: World) -> None:
    for kind in ("Node", "Pipeline"):
        name = f"Genie{kind}Config_createFromJson"
        for text in ("{}", '{"unheard-of": [1]}'):
            out = world.new(f"{kind}Config")
            world.status(f"{kind}Config {text}", 0, name, text.encode(), out)
        world.status(f"{kind}Config NULL", -2, name, world.ffi.NULL, world.new(f"{kind}Config"))
        world.status(f"{kind}Config no JSON", -7, name, b"nope", world.new(f"{kind}Config"))
    documents: tuple[tuple[JSON, int], ...] = (({}, -3), ({"unheard-of": {}}, -1))
    for node, expected in documents:
        config = world.config("Node", node)
        world.status(f"Node {node}", expected, "GenieNode_create", config, world.new("Node"))


@item("59b", "an empty pipeline")
def empty_pipeline(world: World) -> None:
    config = world.config("Pipeline", {})
    pipeline = world.library.make("Pipeline", "GeniePipeline_create", config)
    world.status("reset", 0, "GeniePipeline_reset", pipeline)
    world.status("freed", 0, "GeniePipeline_free", pipeline)
    world.status("freed again", -5, "GeniePipeline_free", pipeline)


def encoder_document(world: World) -> dict[str, JSON]:
    """The config of an encoder, whose files are written to the item's folder."""
    (world.scratch / "tokenizer.json").write_text(json.dumps(document()), encoding="utf-8")
    table = array.array("f", [float(i) for i in range(VOCABULARY) for _ in range(WIDTH)])
    (world.scratch / "table.raw").write_bytes(table.tobytes())
    context = {
        "version": 1,
        "n-vocab": VOCABULARY,
        "ctx-size": 512,
        "embed-size": WIDTH,
        "pad-token": 0,
    }
    lut = {
        "version": 1,
        "lut-path": str(world.scratch / "table.raw"),
        "size": WIDTH,
        "datatype": "float32",
    }
    tokenizer = {"version": 1, "path": str(world.scratch / "tokenizer.json")}
    block = {"version": 1, "type": "lut", "context": context, "tokenizer": tokenizer, "lut": lut}
    return {"text-encoder": block}


@dataclass(slots=True)
class Encoder:
    """A pipeline of one LUT text encoder, and what it gave."""

    world: World
    node: Any = field(init=False, default=None)
    pipeline: Any = field(init=False, default=None)
    given: list[tuple[int, list[int], int, bool]] = field(default_factory=list)
    """Rank, dimensions, bytes, whether it was our user data; one for each callback."""
    tokens: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world
        library = world.library
        config = world.config("Node", encoder_document(world))
        self.node = library.make("Node", "GenieNode_create", config)
        self.pipeline = library.make(
            "Pipeline", "GeniePipeline_create", world.config("Pipeline", {})
        )
        library.call("GeniePipeline_addNode", self.pipeline, self.node)
        callback = world.ffi.callback("NodeEmbeddingFn", self._take)
        world.kept.append(callback)
        library.call("GenieNode_setEmbeddingCallback", self.node, EMBEDDING_OUTPUT, callback)

    def _take(self, dimensions: Any, rank: int, size: int, values: Any, user: Any) -> None:
        mine = user == self.world.ffi.cast("void*", 0x77)
        self.given.append((rank, list(dimensions[0:rank]), size, mine))
        if rank == 0:
            return  # nothing was set: there are no dimensions to be read
        # By the dimensions: a second execute says 0 bytes, with the same dimensions and the same values.
        floats = list(self.world.ffi.cast("float*", values)[0 : dimensions[0] * WIDTH])
        self.tokens += [int(value) for value in floats[::WIDTH]]

    def put(self, text: bytes, size: int | None = None) -> int:
        """Hand text to the encoder."""
        room = self.world.ffi.new("char[]", text)
        size = len(text) if size is None else size
        null = self.world.ffi.NULL
        name = "GenieNode_setData"
        return self.world.library.status(name, self.node, TEXT_INPUT, room, size, null)

    def execute(self) -> list[int]:
        """Run the pipeline; the tokens of what it gave."""
        self.given.clear()
        self.tokens.clear()
        user = self.world.ffi.cast("void*", 0x77)
        self.world.library.call("GeniePipeline_execute", self.pipeline, user)
        return list(self.tokens)


@item("34b", "a text's tokens are those of its tokenizer.json without the template")
def tokenization(world: World) -> None:
    encoder = Encoder(world)
    hello = 259
    for text, expected in (
        ("hello", [hello]),
        ("HELLO", [hello]),
        ("help", [256, ord("l"), ord("p")]),
        ("<bos>hello", [BOS, hello]),
        ("hello<mark>hello", [hello, MARK, hello]),
        ("\u00e9\u20ac", [0xC3, 0xA9, 0xE2, 0x82, 0xAC]),
        ("a b\n", [ord("a"), ord(" "), ord("b"), ord("\n")]),
    ):
        world.library.call("GeniePipeline_reset", encoder.pipeline)
        world.see(f"{text!r}: setData", encoder.put(text.encode()), 0)
        world.see(repr(text), encoder.execute(), expected)


@item("34c", "invalid UTF-8 is refused")
def invalid_text(world: World) -> None:
    encoder = Encoder(world)
    for text in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"):
        world.see(repr(text), encoder.put(text), -1)
    world.see("valid text after that", encoder.put(b"hello"), 0)


@item("60", "a LUT text encoder's callback")
def callback(world: World) -> None:
    encoder = Encoder(world)
    world.see("setData", encoder.put(b"hello you"), 0)
    world.see("nothing is given before execute", encoder.given, [])
    tokens = encoder.execute()
    expected = [(2, [len(tokens), WIDTH], 4 * len(tokens) * WIDTH, True)]
    world.see("rank, dimensions, bytes, user data", encoder.given, expected)
    world.see("tokens", tokens, [259, *b" you"])


@item("61", "setData reads text up to its NUL")
def size_ignored(world: World) -> None:
    encoder = Encoder(world)
    world.see("a size that is too small", encoder.put(b"abc", 1), 0)
    world.see("all of it was read", encoder.execute(), list(b"abc"))
    world.library.call("GeniePipeline_reset", encoder.pipeline)
    world.see("a NUL within", encoder.put(b"ab\0cd", 5), 0)
    world.see("nothing behind it was read", encoder.execute(), list(b"ab"))


@item("62", "setData a second time; execute a second time; reset")
def appending(world: World) -> None:
    encoder = Encoder(world)
    encoder.put(b"ab")
    encoder.put(b"cd")
    world.see("the last text only", encoder.execute(), list(b"cd"))
    world.see("callbacks", len(encoder.given), 1)
    world.see("once more", encoder.execute(), list(b"cd"))
    world.see("what it gives then", encoder.given, [(2, [2, WIDTH], 0, True)])
    world.status("reset", 0, "GeniePipeline_reset", encoder.pipeline)
    encoder.put(b"ef")
    world.see("only the new text", encoder.execute(), list(b"ef"))


@item("62c", "execute without a text, and after a reset")
def without_text(world: World) -> None:
    encoder = Encoder(world)
    nothing: JSON = [(0, [], 0, True)]
    encoder.execute()
    world.see("never set", encoder.given, nothing)
    world.see("invalid text", encoder.put(b"\xff"), -1)
    encoder.execute()
    world.see("after invalid text", encoder.given, nothing)
    encoder.put(b"ab")
    encoder.execute()
    world.status("reset", 0, "GeniePipeline_reset", encoder.pipeline)
    encoder.execute()
    world.see("after a reset", encoder.given, [(2, [2, WIDTH], 0, True)])


@item("62b", "what an encoder node refuses")
def refusals(world: World) -> None:
    encoder = Encoder(world)
    null = world.ffi.NULL
    node = encoder.node
    world.status("a sampler", -11, "GenieNode_getSampler", node, world.new("Sampler"))
    world.status("a tokenizer", -11, "GenieNode_getTokenizer", node, world.new("Tokenizer"))
    world.status("an engine", -11, "GenieNode_getEngine", node, b"primary", world.new("Engine"))
    text = world.ffi.callback("NodeTextFn", lambda *_: 0)
    world.kept.append(text)
    world.status("a text callback", -1, "GenieNode_setTextCallback", node, 2, text)
    world.status("an unknown input", -1, "GenieNode_setData", node, 999, b"a", 1, null)
    world.status("reset", -1, "GenieNode_reset", node)
    world.status("added twice", -1, "GeniePipeline_addNode", encoder.pipeline, node)
