"""Samplers: their configs, the exact algorithm of Genie's basic sampler, and the client's own ones."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from npurun_tui.engine.dialog import Sampler as Settings
from npurun_tui.engine.dialog import Status
from npurun_tui.genie_abi.failure import AbiError, general
from npurun_tui.genie_abi.library import Library, parse
from npurun_tui.genie_abi.mersenne import Draws
from npurun_tui.genie_abi.schema import check_sampler

_NUMBERS: Final = {"seed": int, "top-k": int, "top-p": float, "temp": float}
_TEXTS: Final = ("type", "callback-name")
_PENALTIES: Final = (
    "penalize-last-n",
    "repetition-penalty",
    "presence-penalty",
    "frequency-penalty",
)

callbacks: dict[str, Callable[[bytes, int], list[int]]] = {}
"""The client's samplers by name; they are the process's, and stay."""


@dataclass(eq=False, slots=True)
class SamplerConfig:
    """A `sampler` object, already validated."""

    values: dict[str, Any]
    standalone: bool = False
    vocabulary: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """How one token is chosen."""

    temp: float = 0.1
    top_k: int = 0
    top_p: float = 0.8
    callback: str = ""

    def merged(self, values: dict[str, Any]) -> Choice:
        """With the keys that `values` has."""
        changed = replace(
            self,
            temp=float(values.get("temp", self.temp)),
            top_k=int(values.get("top-k", self.top_k)),
            top_p=float(values.get("top-p", self.top_p)),
        )
        if values.get("type") == "custom" or "callback-name" in values:
            return replace(changed, callback=values.get("callback-name", self.callback))
        return replace(changed, callback="") if values.get("type") == "basic" else changed


@dataclass(eq=False, slots=True)
class Standalone:
    """A sampler of its own, which is given logits."""

    choice: Choice
    draws: Draws
    greedy: bool
    """Fixed when it is made: temperature 0 or top-k 1."""

    @property
    def sorts(self) -> bool:
        """It works in the client's buffer, and leaves it changed."""
        plain = not (self.greedy or self.choice.callback)
        return plain and (self.choice.top_k > 0 or self.choice.top_p < 1)

    def sample(self, logits: Sequence[float], raw: bytes) -> list[int]:
        """The chosen token.

        Raises:
            AbiError: -1 for a custom sampler that nobody registered, and for a temperature of 0 set later.
        """
        if self.choice.callback:
            if self.choice.callback not in callbacks:
                raise general("bad_function_call")
            return callbacks[self.choice.callback](raw, 1)
        if self.greedy:
            return [max(range(len(logits)), key=logits.__getitem__)]
        return [draw(logits, self.choice, self.draws.draw())]


def draw(logits: Sequence[float], choice: Choice, number: float) -> int:
    """The token that `number`, in [0, 1), falls on."""
    order = list(range(len(logits)))
    nucleus = choice.top_p < 1
    if choice.top_k > 0 or nucleus:
        order.sort(key=lambda i: -logits[i])
    if choice.top_k > 0:
        del order[choice.top_k :]
    if nucleus:
        order = _nucleus(order, logits, choice.top_p)
    # A defect of the real one: without top-k all of the nucleus is equally likely. Its order there is not sorted, and
    # is not known: the same tokens come, in another sequence.
    evenly = nucleus and choice.top_k <= 0
    if choice.temp <= 0:
        if choice.top_k == 1:
            return order[0]
        raise general("temperature must be above 0.")
    weights = softmax([0.0 if evenly else logits[i] / choice.temp for i in order])
    total, summed = sum(weights), 0.0
    for index, weight in zip(order, weights, strict=True):
        summed += weight / total
        if summed > number:
            return index
    return order[-1]


def _nucleus(order: list[int], logits: Sequence[float], share: float) -> list[int]:
    """The shortest prefix whose probability at temperature 1 reaches `share`."""
    summed = 0.0
    for count, weight in enumerate(softmax([logits[i] for i in order]), start=1):
        summed += weight
        if summed >= share:
            return order[:count]
    return order


def softmax(values: Sequence[float]) -> list[float]:
    """Probabilities."""
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    total = sum(weights)
    return [weight / total for weight in weights]


# --- configs -------------------------------------------------------------------------------------


def config_from_json(library: Library, text: Any, out: Any) -> int:
    """`GenieSamplerConfig_createFromJson`."""
    library.need(text, out)
    document = parse(library.text(text))
    values = check_sampler(document, library.release)
    standalone = "standalone-sampler" in document
    size = document["standalone-sampler"]["context"]["n-vocab"] if standalone else 0
    library.give(out, SamplerConfig(dict(values), standalone, int(size)))
    return 0


def set_param(library: Library, handle: Any, key: Any, value: Any) -> int:
    """`GenieSamplerConfig_setParam`: one value as text, or a whole sampler with an empty key."""
    config = library.get(handle, SamplerConfig)
    if library.ffi.NULL in (key, value):
        raise _refused("Key or value is NULL.")
    name, text = library.text(key), library.text(value)
    if not name and text:
        try:
            config.values = dict(check_sampler(parse(text), library.release))
        except AbiError as error:
            raise _refused(error.words) from error
        return 0
    config.values |= _param(name, text)
    return 0


def _param(name: str, text: str) -> dict[str, Any]:
    try:
        if name in _NUMBERS:
            return {name: _NUMBERS[name](float(text))}  # as C reads "1.5" for an integer: 1
        if name in _PENALTIES:
            return {f"token-penalty/{name}": float(text)}
    except ValueError as error:
        raise _refused(f"{text!r} is no value for {name}.") from error
    if name in _TEXTS and text:
        return {name: text}
    raise _refused(f"Unknown sampler parameter {name!r}.")


def _refused(words: str) -> AbiError:
    return AbiError(Status.ERROR_SET_PARAMS_FAILED, words)


# --- standalone samplers -------------------------------------------------------------------------


def create(library: Library, handle: Any, out: Any) -> int:
    """`GenieSampler_create`."""
    library.need(out)
    config = library.get(handle, SamplerConfig)
    if not config.standalone and library.version >= (1, 21, 0):
        raise general("A sampler of its own needs a standalone-sampler config.")
    choice = Choice().merged(config.values)
    seed = config.values.get("seed", -1)
    seed = secrets.randbits(31) if seed == -1 else int(seed)
    greedy = choice.temp <= 0 or choice.top_k == 1
    library.give(out, Standalone(choice, Draws(seed), greedy))
    return 0


def free(library: Library, handle: Any) -> int:
    """`GenieSampler_free`; before 1.21 whatever is no NULL is taken for one."""
    if library.version < (1, 21, 0) and handle != library.ffi.NULL:
        library.handles.remove(library.number(handle))
        return 0
    library.free(handle, Standalone)
    return 0


def sample_data(
    library: Library, handle: Any, data: Any, size: int, config: Any, callback: Any, user: Any
) -> int:
    """`GenieSampler_sampleData`: logits in, a token out. The buffer is the sampler's to write over."""
    library.need_after(handle, data, config, callback)
    sampler = library.get(handle, Standalone)
    document = parse(library.text(config))
    if not isinstance(document, dict) or "data-type" not in document:
        raise general("The data's config has no data-type.")
    dimensions = document.get("dimensions")
    if document["data-type"] != "float32" or not isinstance(dimensions, list) or not dimensions:
        raise general("Only float32 logits can be sampled.")
    count, ffi = int(dimensions[-1]), library.ffi
    if count <= 0 or count * 4 != size:
        callback(0, ffi.NULL, user)
        return 0
    logits = ffi.unpack(ffi.cast("const float*", data), count)
    tokens = sampler.sample(logits, bytes(ffi.buffer(data, size)))
    if sampler.sorts:
        ffi.memmove(data, ffi.new("float[]", sorted(logits, reverse=True)), size)
    callback(len(tokens), ffi.new("int32_t[]", tokens), user)
    return 0


def register(library: Library, name: Any, callback: Any, user: Any = None) -> int:
    """Both kinds of registration; a later one replaces an earlier one of either kind."""
    library.need(callback)
    ffi = library.ffi
    if name == ffi.NULL:
        raise general("A sampler's callback needs a name.")

    def call(raw: bytes, count: int) -> list[int]:
        logits, tokens = ffi.new("char[]", raw), ffi.new("int32_t[]", count)
        arguments = (len(raw), logits, count, tokens)
        callback(*arguments) if user is None else callback(*arguments, user)
        return list(ffi.unpack(tokens, count))

    callbacks[library.text(name)] = call
    return 0


# --- a dialog's sampler --------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class DialogSampler:
    """What a dialog samples with: the config's values, changed by `applyConfig`."""

    values: dict[str, Any] = field(default_factory=dict)
    on_change: Callable[[], None] = lambda: None
    greedy: bool = False
    """It was made with temperature 0 or top-k 1, and stays at the argmax whatever is applied."""

    def __post_init__(self) -> None:
        made = Choice().merged(self.values)
        self.greedy = made.temp <= 0 or made.top_k == 1

    @property
    def seed(self) -> int | None:
        seed = self.values.get("seed", -1)
        return None if seed == -1 else int(seed)

    def settings(self, seed: int | None) -> Settings:
        """As the dialog contract has them, with `seed` for the stream."""
        choice = Choice().merged(self.values)
        penalty = self.values.get("token-penalty", {})
        return Settings(
            temperature=0.0 if self.greedy else max(0.0, choice.temp),
            top_k=max(0, choice.top_k),
            top_p=min(1.0, choice.top_p) or 1e-6,
            seed=seed,
            repetition_penalty=float(penalty.get("repetition-penalty", 0)) or 1.0,
            penalize_last_n=int(penalty.get("penalize-last-n", 0)),
        )


def apply_config(library: Library, handle: Any, config: Any) -> int:
    """`GenieSampler_applyConfig`: what the config has, but never the token penalty. It does not seed anew."""
    sampler = library.handles.get(library.number(handle), object)
    changed = library.get(config, SamplerConfig).values
    if isinstance(sampler, Standalone):
        sampler.choice = sampler.choice.merged(changed)
        if sampler.choice.temp > 0 and sampler.choice.top_k == 1:
            sampler.choice = replace(sampler.choice, temp=1.0)
    elif isinstance(sampler, DialogSampler):
        keys = (*_NUMBERS, *_TEXTS)
        sampler.values |= {key: changed[key] for key in keys if key in changed}
        sampler.on_change()
    else:
        raise AbiError(Status.ERROR_INVALID_HANDLE, "Invalid handle.")
    return 0
