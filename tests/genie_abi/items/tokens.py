"""Items 26 to 33: what standalone samplers draw."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.genie_abi.items.world import JSON, World, item

SAMPLE: Final = "GenieSampler_sampleData"

VECTORS: Final = Path(__file__).parent.parent / "data" / "sampler_vectors.json"
"""What the real library drew, in API 1.18 and 1.21 alike."""

LOGITS: Final = tuple(0.3 * ((7 * i) % 16) for i in range(16))
LARGEST: Final = 9

USUAL: Final = {"seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95}


def sampler(world: World, settings: dict[str, JSON], vocabulary: int = 16) -> Any:
    """A standalone sampler with these settings."""
    context = {"version": 1, "size": 64, "n-vocab": vocabulary, "bos-token": 1, "eos-token": 2}
    block = {"version": 1, "sampler": {"version": 1, **settings}, "context": context}
    config = world.config("Sampler", {"standalone-sampler": block})
    made = world.library.make("Sampler", "GenieSampler_create", config)
    world.library.call("GenieSamplerConfig_free", config)
    return made


def meta(count: int, **changes: JSON) -> bytes:
    """The description of `count` logits."""
    return json.dumps({"dimensions": [1, count], "data-type": "float32"} | changes).encode()


def draw(world: World, made: Any, logits: tuple[float, ...], times: int) -> list[int]:
    """The tokens of so many draws."""
    drawn: list[int] = []
    callback = world.ffi.callback(
        "SampledFn", lambda count, tokens, user: drawn.extend(tokens[0:count])
    )
    for _ in range(times):
        # A new buffer for each: the library sorts its input in place.
        room = world.ffi.new("float[]", logits)
        size = 4 * len(logits)
        world.library.call(SAMPLE, made, room, size, meta(len(logits)), callback, world.ffi.NULL)
    return drawn


def logits_of(count: int) -> tuple[float, ...]:
    """Distinct logits in an order that is no sorted one."""
    return LOGITS if count == 16 else tuple(0.05 * ((37 * i) % count) for i in range(count))


@item("26", "standalone sampler: golden vectors")
def golden(world: World) -> None:
    for vector in json.loads(VECTORS.read_text(encoding="utf-8")):
        settings, count = vector["settings"], vector["vocabulary"]
        made = sampler(world, settings, count)
        tokens = draw(world, made, logits_of(count), len(vector["tokens"]))
        world.see(f"{count}: {json.dumps(settings)}", tokens, vector["tokens"])


@item("27", "constructed with temp 0 or top-k 1: argmax; `greedy` says nothing")
def greedy(world: World) -> None:
    for settings in (USUAL | {"temp": 0}, USUAL | {"top-k": 1}):
        made = sampler(world, settings)
        world.see(json.dumps(settings), draw(world, made, LOGITS, 8), [LARGEST] * 8)
    with_it = draw(world, sampler(world, USUAL | {"greedy": True}), LOGITS, 12)
    without = draw(world, sampler(world, USUAL), LOGITS, 12)
    world.see("greedy changes nothing", with_it == without, True)


def _apply(world: World, made: Any, settings: dict[str, JSON]) -> int:
    config = world.config("Sampler", {"sampler": {"version": 1, **settings}})
    status = world.library.status("GenieSampler_applyConfig", made, config)
    world.library.call("GenieSamplerConfig_free", config)
    return status


@item("28", "applyConfig with the same seed goes on with the stream")
def no_new_seed(world: World) -> None:
    whole = draw(world, sampler(world, USUAL), LOGITS, 16)
    made = sampler(world, USUAL)
    first = draw(world, made, LOGITS, 8)
    world.see("applied", _apply(world, made, USUAL), 0)
    world.see("the stream went on", first + draw(world, made, LOGITS, 8) == whole, True)
    world.see("another seed applied", _apply(world, made, USUAL | {"seed": 7}), 0)
    longer = draw(world, sampler(world, USUAL), LOGITS, 24)
    world.see("it went on still", draw(world, made, LOGITS, 8) == longer[16:], True)


@item("29", "top-k 1 through applyConfig is argmax")
def top_one(world: World) -> None:
    made = sampler(world, USUAL)
    world.see("applied", _apply(world, made, USUAL | {"temp": 1.0, "top-k": 1}), 0)
    world.see("drawn", draw(world, made, LOGITS, 8), [LARGEST] * 8)


@item("29b", "top-k 0 with top-p draws evenly from the nucleus")
def even_nucleus(world: World) -> None:
    made = sampler(world, USUAL)
    settings = {"seed": 42, "temp": 0.1, "top-k": 0, "top-p": 0.8}
    world.see("applied", _apply(world, made, settings), 0)
    # Which tokens and how often, not in what sequence: the nucleus has an order of the library's own there.
    for label, each in (("applied", made), ("constructed", sampler(world, settings))):
        drawn = Counter(draw(world, each, LOGITS, 240))
        world.see(f"{label}: the nucleus", sorted(drawn), [2, 4, 6, 9, 11, 13])
        even = max(drawn.values()) < 2 * min(drawn.values())
        world.see(f"{label}: evenly, though temp is 0.1", even, True)


@item("30", "custom sampler: what its callback gets, and its token")
def custom(world: World) -> None:
    ffi = world.ffi
    data = ffi.new("int*", 77)
    calls: list[Any] = []

    def choose(size: int, logits: Any, count: int, tokens: Any, user: Any) -> None:
        values = ffi.cast("const float*", logits)[0:16]
        same = all(abs(a - b) < 1e-6 for a, b in zip(values, LOGITS, strict=True))
        calls.append((size, count, same, user == ffi.cast("void*", data)))
        tokens[0] = 5

    callback = ffi.callback("SampleDataFn", choose)
    world.kept += [callback, data]
    register = "GenieSampler_registerUserDataCallback"
    world.status("registered", 0, register, b"item30", callback, data)
    made = sampler(world, {"type": "custom", "callback-name": "item30"})
    world.see("drawn", draw(world, made, LOGITS, 2), [5, 5])
    world.see("bytes, tokens, logits, user data", calls, [(64, 1, True, True)] * 2)


@item("31", "custom sampler: a name that is not registered")
def unregistered(world: World) -> None:
    nobody = {"type": "custom", "callback-name": "item31-nobody"}
    made = sampler(world, nobody)
    world.see("created", True, True)
    world.see("drawing", _sample(world, made), (-1, []))
    made = sampler(world, USUAL)
    world.see("applied", _apply(world, made, nobody), 0)
    world.see("drawing after that", _sample(world, made), (-1, []))


def _sample(
    world: World, made: Any, size: int = 64, description: bytes = meta(16)
) -> tuple[int, list[int]]:
    """The status of one draw and its tokens, with -1000 standing for a callback with none."""
    drawn: list[int] = []

    def take(count: int, tokens: Any, user: Any) -> None:
        drawn.extend(tokens[0:count] if count else [-1000])

    callback = world.ffi.callback("SampledFn", take)
    room = world.ffi.new("float[]", LOGITS)
    status = world.library.status(SAMPLE, made, room, size, description, callback, world.ffi.NULL)
    return status, drawn


@item("33", "sampleData: sizes and descriptions that do not fit")
def misfits(world: World) -> None:
    made = sampler(world, {"seed": 42, "temp": 0})
    none = (0, [-1000])
    world.see("fits", _sample(world, made), (0, [LARGEST]))
    world.see("too few bytes", _sample(world, made, 60), none)
    world.see("dimensions too large", _sample(world, made, 64, meta(17)), none)
    world.see("bad JSON", _sample(world, made, 64, b"{"), (-7, []))
    world.see("no data-type", _sample(world, made, 64, b'{"dimensions":[1,16]}'), (-1, []))
    world.see("no dimensions", _sample(world, made, 64, b'{"data-type":"float32"}'), (-1, []))
    odd = meta(16, **{"data-type": "other"})
    world.see("unknown data-type", _sample(world, made, 64, odd), (-1, []))


@item("33b", "sampleData: the input is written to")
def overwritten(world: World) -> None:
    for settings, expected in ((USUAL, True), ({"seed": 42, "temp": 0.8, "top-p": 1.0}, False)):
        made = sampler(world, settings)
        room = world.ffi.new("float[]", LOGITS)
        before = list(room)
        callback = world.ffi.callback("SampledFn", lambda *_: None)
        world.library.call(SAMPLE, made, room, 64, meta(16), callback, world.ffi.NULL)
        world.see(json.dumps(settings), list(room) != before, expected)
