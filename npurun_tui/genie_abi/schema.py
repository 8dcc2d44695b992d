"""What Genie's configs may hold: the tables, key by key, as the releases 2.47 to 2.51 accept them.

Structure only: no file is opened. 137 variants of a dialog's config were measured on the real library; the tests hold
each.
"""

from __future__ import annotations

from typing import Any, Final

from npurun_tui.genie_abi.library import RELEASES
from npurun_tui.genie_abi.shapes import (
    Check,
    Place,
    Shape,
    anything,
    boolean,
    choice,
    count,
    integer,
    is_int,
    listing,
    number,
    one,
    text,
)

_FROM_1_19: Final = ("1.19", "1.20", "1.20-2.50", "1.21")
_FROM_2_50: Final = ("1.20-2.50", "1.21")
_FROM_1_21: Final = ("1.21",)


# --- values that changed with the JSON schema of 1.21 ---------------------------------------------


def _any_until_1_21(place: Place, value: Any, *, low: float | None, high: float | None) -> None:
    number(place, value)
    outside = (low is not None and value < low) or (high is not None and value > high)
    if place.strict and outside:
        raise place.structure("it is out of its range")


def _temperature(place: Place, value: Any) -> None:
    _any_until_1_21(place, value, low=0, high=None)


def _share(place: Place, value: Any) -> None:
    _any_until_1_21(place, value, low=None, high=1)


def _top_k(place: Place, value: Any) -> None:
    _any_until_1_21(place, value, low=0, high=None)
    if place.strict and not is_int(value):
        raise place.structure("it must be an integer")


def _seed(place: Place, value: Any) -> None:
    number(place, value)
    if place.strict and not (is_int(value) and value < 1 << 31):
        raise place.structure("it must be an integer below 2^31")


def _spill_fill(place: Place, value: Any) -> None:
    integer(place, value)
    if place.strict and value < 0:
        raise place.structure("it must not be negative")


def _eos(place: Place, value: Any) -> None:
    if is_int(value):
        return
    listing(integer)(place, value)
    if place.strict and not value:
        raise place.structure("it must not be empty")


# --- sampler -------------------------------------------------------------------------------------

_PENALTY: Final = Shape(
    {"version": one},
    {
        "penalize-last-n": integer,
        "repetition-penalty": number,
        "presence-penalty": number,
        "frequency-penalty": number,
    },
)


def _sampler_type(place: Place, value: Any) -> None:
    text(place, value)
    if place.strict and value not in ("basic", "custom"):
        raise place.structure("it must be basic or custom")


def _custom_or_basic(place: Place, value: dict[str, Any]) -> None:
    custom = value.get("type") == "custom"
    if custom and "callback-name" not in value:
        raise place.value("a custom sampler needs a callback-name")
    basic = (
        "type" in value or place.strict
    )  # until 1.21 a callback-name without a type was let through
    if basic and not custom and "callback-name" in value:
        raise place.value("a basic sampler has no callback-name")
    if custom and value.keys() & {"temp", "top-k", "top-p", "greedy"}:
        raise place.value("a custom sampler has no settings")


SAMPLER: Final = Shape(
    {"version": one},
    {
        "type": _sampler_type,
        "seed": _seed,
        "temp": _temperature,
        "top-k": _top_k,
        "top-p": _share,
        "greedy": boolean,
        "callback-name": text,
        "token-penalty": _PENALTY,
    },
    also=(_custom_or_basic,),
)

# --- context, tokenizer, embedding ---------------------------------------------------------------

_GRAMMAR: Final = Shape(
    {},
    {"backend": choice("xgrammar"), "type": choice("json-schema", "regex", "ebnf"), "file": text},
)
CONTEXT: Final = Shape(
    {"version": one, "bos-token": integer, "eos-token": _eos, "size": count, "n-vocab": count},
    {
        "eot-token": integer,
        "pad-token": integer,
        "n-embd": integer,
        "draft-n-vocab": integer,
        "embedding-length": integer,
        "grammar": _GRAMMAR,
    },
    {"embedding-length": _FROM_1_21, "grammar": _FROM_1_19},
)
TOKENIZER: Final = Shape({"version": one, "path": text})
EMBEDDING: Final = Shape(
    {"version": one, "size": count},
    {
        "type": choice("lut", "callback"),
        "lut-path": text,
        "datatype": choice(
            "float32", "native", "ufixed4", "ufixed8", "ufixed16", "sfixed8", "sfixed16"
        ),
        "quant-param": Shape({}, {"scale": number, "offset": number}),
    },
)

# --- engine --------------------------------------------------------------------------------------


def _lora_policy(place: Place, value: dict[str, Any]) -> None:
    lazy = value.get("graph-switching-lora-policy") == "lazy"
    if lazy and not value.get("enable-graph-switching"):
        raise (place / "graph-switching-lora-policy").value("lazy needs graph switching")
    if value.get("shared-engine") and not value.get("allow-async-init"):
        raise (place / "shared-engine").value("it needs allow-async-init")


HTP: Final = Shape(
    {
        "version": one,
        "spill-fill-bufsize": _spill_fill,
        "mmap-budget": count,
        "use-mmap": boolean,
        "cpu-mask": text,
        "poll": boolean,
    },
    {
        "kv-dim": count,
        "pos-id-dim": count,
        "rope-theta": number,
        "allow-async-init": boolean,
        "enable-graph-switching": boolean,
        "graph-switching-lora-policy": choice("lazy", "eager"),
        "shared-engine": boolean,
        "kv-update-method": text,
        "batch-size": count,
        "weight-shared-lora": boolean,
        "skip-lora-validation": boolean,
        "data-alignment-size": count,
        "direct-io": boolean,
    },
    {"direct-io": _FROM_2_50},
    also=(_lora_policy,),
)
TRANSFORMER: Final = Shape(
    {"version": one},
    {
        "use-mmap": boolean,
        "kv-quantization": boolean,
        "n-logits": count,
        "n-layer": count,
        "n-embd": count,
        "n-heads": count,
        "n-kv-heads": count,
        "model-input": choice("tokens", "embeddings"),
        "shared-engine": boolean,
    },
)
_BLOCKS: Final = ("QnnHtp", "QnnGenAiTransformer")


def _own_block(place: Place, value: dict[str, Any]) -> None:
    """The block named like the type, and no other one."""
    kind = value["type"]
    if kind in _BLOCKS and kind not in value:
        raise (place / kind).structure("it is missing")
    for block in _BLOCKS:
        if block != kind and block in value:
            raise (place / block).structure("it belongs to another type")


BACKEND: Final = Shape(
    {"version": one, "type": choice("QnnHtp", "QnnGenAiTransformer", "QnnGpu", "libtorch")},
    {"extensions": text, "device": text, "QnnHtp": HTP, "QnnGenAiTransformer": TRANSFORMER},
    also=(_own_block,),
)
_ROPE_SCALING: Final = Shape(
    {},
    {
        "rope-type": choice(
            "llama3",
            "default",
            "longrope",
            "qwen2vl-mrope",
            "qwen3vl-mrope",
            "yarnrope",
            "huanyuan",
            structural=True,
        ),
        **dict.fromkeys(
            (
                "factor",
                "low-freq-factor",
                "high-freq-factor",
                "original-max-position-embeddings",
                "time-step",
                "spatial-merge-size",
                "dim",
                "extrapolation-factor",
                "attn-factor",
                "beta-fast",
                "beta-slow",
            ),
            number,
        ),
        **dict.fromkeys(("short-factor", "long-factor", "mrope-section"), listing(number)),
    },
)
_POSITIONS: Final = Shape(
    {"type": choice("rope", "absolute", "alibi", structural=True)},
    {"rope-dim": count, "rope-theta": number, "rope-scaling": _ROPE_SCALING},
)
_LORA: Final = Shape(
    {"version": one},
    {
        "lora-version": integer,
        "alpha-tensor-name": text,
        "adapters": listing(anything),
        "groups": listing(anything),
    },
)
MODEL: Final = Shape(
    {"version": one, "type": choice("binary", "library")},
    {
        "binary": Shape(
            {"version": one, "ctx-bins": listing(text, by_value=True)}, {"lora": _LORA}
        ),
        "library": Shape({"version": one, "model-bin": text}, {"lora": _LORA}),
        "positional-encoding": _POSITIONS,
        "draft-token-map": text,
    },
    also=(lambda place, value: _named_block(place, value, value["type"]),),
)
_LONG: Final = Shape(
    {"version": one, "type": choice("keydiff", "sliding-window")},
    {
        "reserved-tokens": count,
        "keydiff": Shape(
            {"version": one},
            {"scoring-network": text, "update-frequency": count, "anchor-alpha": number},
        ),
        "sliding-window": Shape({"version": one}, {"window-size": count}),
    },
)


def _named_block(place: Place, value: dict[str, Any], name: str) -> None:
    if name not in value:
        raise (place / name).structure("it is missing")


def _one_rope(place: Place, value: dict[str, Any]) -> None:
    htp = value["backend"].get("QnnHtp", {})
    if "positional-encoding" in value["model"] and htp.keys() & {"pos-id-dim", "rope-theta"}:
        raise (place / "backend/QnnHtp").structure(
            "pos-id-dim and rope-theta conflict with positional-encoding"
        )


_ENGINE_REQUIRED: Final[dict[str, Check]] = {
    "version": one,
    "backend": BACKEND,
    "model": MODEL,
    "n-threads": count,
}
_ENGINE_OPTIONAL: Final[dict[str, Check]] = {
    "longcontext": _LONG,
    "cache-groups": listing(anything, filled=True),
}
ENGINE: Final = Shape(_ENGINE_REQUIRED, _ENGINE_OPTIONAL, also=(_one_rope,))
ROLE_ENGINE: Final = Shape(
    _ENGINE_REQUIRED,
    {**_ENGINE_OPTIONAL, "role": choice("draft", "target", "primary", "secondary")},
    also=(_one_rope,),
)

# --- dialog --------------------------------------------------------------------------------------

_TYPES: Final = ("basic", "kv-share", "ssd-q1", "lade", "spd", "multistream", "eaglet")
_WITH_BLOCK: Final = frozenset(_TYPES) - {"basic", "lade"}
_SEVERAL_ENGINES: Final = ("kv-share", "spd", "eaglet")


def _engines(place: Place, value: dict[str, Any]) -> None:
    engine, kind = value["engine"], value["type"]
    if isinstance(engine, list) and kind in _SEVERAL_ENGINES:
        listing(ROLE_ENGINE)(place / "engine", engine)
    else:
        ENGINE(place / "engine", engine)
    if kind in _WITH_BLOCK and kind not in value:
        raise (place / kind).structure("it is missing")


DIALOG: Final = Shape(
    {
        "version": one,
        "type": choice(*_TYPES),
        "context": CONTEXT,
        "tokenizer": TOKENIZER,
        "engine": anything,
    },
    {
        "max-num-tokens": count,
        "stop-sequence": listing(text),
        "sampler": SAMPLER,
        "embedding": EMBEDDING,
        "accumulator-size": count,
        "debug": Shape(
            {},
            {
                "path": text,
                "dump-tensors": boolean,
                "dump-specs": boolean,
                "dump-outputs": boolean,
            },
        ),
        **dict.fromkeys((*_WITH_BLOCK, "lade"), anything),
    },
    also=(_engines,),
)

# --- roots ---------------------------------------------------------------------------------------

_ROOTS: Final[dict[str, Check]] = {
    "dialog": DIALOG,
    "standalone-engine": Shape(
        {"version": one, "context": anything, "engine": anything}, {"embedding": anything}
    ),
    "embedding": anything,
    "profile": Shape({"version": one}, {"trace": Shape({"version": one}, {"enable": boolean})}),
    "dataset": anything,
    "performance": Shape(
        {},
        {
            "policy": choice(
                *(
                    words := (
                        "burst",
                        "sustained_high_performance",
                        "high_performance",
                        "balanced",
                        "low_balanced",
                        "high_power_saver",
                        "power_saver",
                        "low_power_saver",
                        "extreme_power_saver",
                    )
                ),
                *(f"llm_decode_{word}" for word in (*words, "default")),
            )
        },
    ),
}


def check_root(root: str, document: Any, release: str) -> Any:
    """The object under the only key `root`; every family of configs has its own.

    Raises:
        AbiError: -8, or -9.
    """
    assert release in RELEASES  # noqa: S101 - `claimed` chose it
    place = Place("", release)
    Shape({root: _ROOTS[root]})(place, document)
    return document[root]


def check_sampler(document: Any, release: str) -> dict[str, Any]:
    """The `sampler` object of a sampler's config, of either form. Raises AbiError."""
    place = Place("", release)
    if isinstance(document, dict) and "standalone-sampler" in document:
        inner = Shape({"version": one, "sampler": SAMPLER, "context": CONTEXT})
        Shape({"standalone-sampler": inner})(place, document)
        found: dict[str, Any] = document["standalone-sampler"]["sampler"]
        return found
    Shape({"sampler": SAMPLER})(place, document)
    values: dict[str, Any] = document["sampler"]
    return values
