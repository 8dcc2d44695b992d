"""137 dialog configs, one change each, and what `GenieDialogConfig_createFromJson` answers in five releases.

A row's name is its change: `set PATH=JSON` and `del PATH` work on the dialog of `HTP`, `CPU set KEY=JSON` and `CPU del
KEY` on the backend block of `CPU`. The answers were measured with the real library; `scripts/real-genie` measures
them again. Rows stand under what they give in API 1.18 (QAIRT 2.47), 1.19 (2.48), 1.20 (2.49), 1.20 (2.50), 1.21.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Statuses: TypeAlias = tuple[int, int, int, int, int]

RELEASES: Final = ("2.47", "2.48", "2.49", "2.50", "2.51")
"""QAIRT releases, in the order of a row's statuses."""

RELEASE_OF_API: Final = {(1, 18): 0, (1, 19): 1, (1, 20): 3, (1, 21): 4}
"""Where an API version's status stands in a row; 1.20 is two releases, of which 2.50 takes one key more."""

ACCEPTED: Final = (0, 0, 0, 0, 0)
SCHEMA: Final = (-8, -8, -8, -8, -8)
VALUE: Final = (-9, -9, -9, -9, -8)
"""A value that cannot be: 1.21 checks it together with the shape."""

HTP: Final[dict[str, Any]] = {
    "version": 1,
    "type": "basic",
    "max-num-tokens": 200,
    "context": {
        "version": 1,
        "size": 4096,
        "n-vocab": 151936,
        "bos-token": -1,
        "eos-token": [151645, 151643],
    },
    "sampler": {"version": 1, "seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95},
    "tokenizer": {"version": 1, "path": "tokenizer.json"},
    "engine": {
        "version": 1,
        "n-threads": 3,
        "backend": {
            "version": 1,
            "type": "QnnHtp",
            "QnnHtp": {
                "version": 1,
                "use-mmap": True,
                "spill-fill-bufsize": 0,
                "mmap-budget": 0,
                "poll": False,
                "cpu-mask": "0xe0",
                "kv-dim": 128,
                "allow-async-init": False,
            },
            "extensions": "htp_backend_ext_config.json",
        },
        "model": {
            "version": 1,
            "type": "binary",
            "binary": {"version": 1, "ctx-bins": ["a.bin", "b.bin"]},
            "positional-encoding": {"type": "rope", "rope-dim": 64, "rope-theta": 1000000},
        },
    },
}
"""The dialog of a bundle for the NPU; none of the files that it names is opened."""

CPU: Final[dict[str, Any]] = {
    "version": 1,
    "type": "basic",
    "context": {"version": 1, "size": 2048, "n-vocab": 32000, "bos-token": 1, "eos-token": 2},
    "sampler": {"version": 1, "seed": 42, "temp": 0.8, "top-k": 40, "top-p": 0.95},
    "tokenizer": {"version": 1, "path": "tokenizer.json"},
    "engine": {
        "version": 1,
        "n-threads": 6,
        "backend": {
            "version": 1,
            "type": "QnnGenAiTransformer",
            "QnnGenAiTransformer": {"version": 1},
        },
        "model": {
            "version": 1,
            "type": "library",
            "library": {"version": 1, "model-bin": "model.bin"},
        },
    },
}
"""The dialog of a model for the CPU, with an empty backend block."""

_ROWS: Final[dict[Statuses, str]] = {
    ACCEPTED: """
        base HTP
        del max-num-tokens
        del sampler
        del engine/backend/extensions
        del engine/backend/QnnHtp/kv-dim
        del engine/backend/QnnHtp/allow-async-init
        del engine/model/positional-encoding
        set max-num-tokens=0
        set stop-sequence=["a"]
        set stop-sequence=[]
        set accumulator-size=1
        set type="lade"
        set debug={"path": "x", "dump-tensors": true, "dump-specs": true, "dump-outputs": true}
        set embedding={"version": 1, "size": 2048, "datatype": "float32"}
        set embedding={"version": 1, "size": 2048, "type": "lut", "lut-path": "e.raw", "datatype": "float32"}
        set context/eot-token=1
        set context/pad-token=1
        set context/n-embd=1
        set context/draft-n-vocab=1
        set context/size=0
        set context/eos-token=5
        set sampler/greedy=true
        set sampler/type="basic"
        set sampler/token-penalty={"version": 1, "penalize-last-n": 64}
        set sampler/temp=0
        set sampler/top-k=0
        set sampler/top-p=0
        set sampler/temp=3.0
        set engine/longcontext={"version": 1, "type": "keydiff", \
            "keydiff": {"version": 1, "scoring-network": "s.bin", "update-frequency": 128}}
        set engine/longcontext={"version": 1, "type": "sliding-window", "sliding-window": {"version": 1, \
            "window-size": 512}}
        set engine/backend/device="npu"
        set engine/backend/QnnHtp/kv-update-method="SMART_MASK"
        set engine/backend/QnnHtp/kv-update-method="bogus"
        set engine/backend/QnnHtp/enable-graph-switching=true
        set engine/backend/QnnHtp/graph-switching-lora-policy="eager"
        set engine/backend/QnnHtp/batch-size=1
        set engine/backend/QnnHtp/weight-shared-lora=true
        set engine/backend/QnnHtp/skip-lora-validation=true
        set engine/backend/QnnHtp/data-alignment-size=0
        set engine/model/draft-token-map="x"
        set engine/model/binary/ctx-bins=[]
        set engine/model/binary/lora={"version": 1, "lora-version": 2, "adapters": [{"version": 1, "name": "a", \
            "bin-sections": ["x.bin"]}]}
        set engine/model/positional-encoding={"type": "alibi"}
        set engine/model/positional-encoding/rope-scaling={"rope-type": "llama3", "factor": 8.0, \
            "low-freq-factor": 1.0, "high-freq-factor": 4.0, "original-max-position-embeddings": 8192}
        set engine/model/positional-encoding/rope-scaling={"rope-type": "longrope", "factor": 32, \
            "short-factor": [1], "long-factor": [1]}
        set engine/model/positional-encoding/rope-scaling={"rope-type": "qwen3vl-mrope", "mrope-section": [24, \
            20, 20]}
        base CPU
        CPU set use-mmap=true
        CPU set n-logits=1
        CPU set n-layer=32
        CPU set n-embd=4096
        CPU set n-heads=32
        CPU set n-kv-heads=8
        CPU set kv-quantization=true
        CPU set model-input="tokens"
        CPU set model-input="embeddings"
        CPU set shared-engine=true
    """,
    SCHEMA: """
        del type
        del context/bos-token
        del context/eos-token
        del context/n-vocab
        del context/size
        del engine/backend/QnnHtp/poll
        del engine/backend/QnnHtp/cpu-mask
        del engine/backend/QnnHtp/mmap-budget
        del engine/backend/QnnHtp/spill-fill-bufsize
        del engine/backend/QnnHtp/use-mmap
        del engine/backend/QnnHtp
        del engine/n-threads
        del tokenizer
        del tokenizer/version
        del engine/model/binary
        del engine/model/binary/ctx-bins
        set bogus=1
        set max-num-tokens="5"
        set stop-sequence="a"
        set type="kv-share"
        set type="ssd-q1"
        set type="spd"
        set type="multistream"
        set type="eaglet"
        set lora={}
        set prompt={}
        set grammar={}
        set context/bogus=1
        set context/bos-token="1"
        set context/size="4096"
        set context/long-context=1
        set sampler/role="primary"
        set sampler/min-p=0.1
        set sampler=[]
        set tokenizer/bogus=1
        set tokenizer/type="hf"
        set engine/role="primary"
        set engine/role="x"
        set engine/bogus=1
        set engine=[]
        set engine/n-threads="3"
        set engine/backend/type="QnnGpu"
        set engine/backend/type="QnnGenAiTransformer"
        set engine/backend/type="libtorch"
        set engine/backend/QnnHtp/pos-id-dim=64
        set engine/backend/QnnHtp/rope-theta=10000
        set engine/backend/QnnHtp/bogus=1
        set engine/backend/QnnHtp/poll=1
        set engine/backend/QnnHtp/use-mmap="true"
        set engine/backend/QnnHtp/cpu-mask=224
        set engine/backend/QnnHtp/io-loading="lazy"
        set engine/backend/QnnHtp/perf-profile="burst"
        set engine/model/type="library"
        set engine/model/bogus=1
        set engine/model/binary/ctx-bins="a.bin"
        set engine/model/positional-encoding/type="x"
        set engine/model/positional-encoding/rope-scaling={"rope-type": "yarn"}
        CPU set use-in-memory=true
        CPU set bogus=1
        CPU del QnnGenAiTransformer
    """,
    VALUE: """
        set max-num-tokens=-1
        set sampler/version=2
        set engine/cache-groups=[]
        set engine/backend/type="QnnCpu"
        set engine/backend/QnnHtp/graph-switching-lora-policy="lazy"
        set engine/backend/QnnHtp/graph-switching-lora-policy="x"
        set engine/backend/QnnHtp/shared-engine=true
        set engine/backend/QnnHtp/version=2
        set engine/model/type="x"
        set engine/model/binary/ctx-bins=[1]
        set version=2
    """,
    (-8, -8, -8, -8, 0): """
        set context/embedding-length=1
    """,
    (-8, 0, 0, 0, 0): """
        set context/grammar={"backend": "xgrammar", "type": "json-schema", "file": "x"}
        set context/grammar={}
    """,
    (-8, -9, -9, -9, -8): """
        set context/grammar={"backend": "foo", "type": "regex", "file": "x"}
    """,
    (0, 0, 0, 0, -8): """
        set context/eos-token=[]
        set sampler/top-k=-1
        set sampler/top-k=1.5
        set engine/backend/QnnHtp/spill-fill-bufsize=-1
    """,
    (-8, -8, -8, 0, 0): """
        set engine/backend/QnnHtp/direct-io=true
    """,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One row."""

    name: str
    document: dict[str, Any]
    """The whole config."""
    statuses: Statuses

    def expected(self, api: tuple[int, int]) -> int:
        """The status of the (newest) release with this API version."""
        return self.statuses[RELEASE_OF_API[api]]


def cases() -> Iterator[Case]:
    """All rows, those with the same answers together."""
    for statuses, names in _ROWS.items():
        for line in names.strip().splitlines():
            name = " ".join(line.split())
            yield Case(name, {"dialog": _dialog(name)}, statuses)


def _dialog(name: str) -> dict[str, Any]:
    """The dialog that a row's name describes."""
    if name == "base HTP":
        return copy.deepcopy(HTP)
    if name == "base CPU":
        return copy.deepcopy(CPU)
    if name.startswith("CPU "):
        return edited(CPU, _in_cpu_backend(name.removeprefix("CPU ")))
    return edited(HTP, name)


def _in_cpu_backend(change: str) -> str:
    """`change` with its key's whole path."""
    verb, key = change.split(" ", 1)
    block = "engine/backend/QnnGenAiTransformer"
    return f"{verb} {block}" if key == "QnnGenAiTransformer" else f"{verb} {block}/{key}"


def edited(base: dict[str, Any], change: str) -> dict[str, Any]:
    """A copy of `base` after `set PATH=JSON` or `del PATH`, with slashes between the keys of the path."""
    dialog = copy.deepcopy(base)
    verb, rest = change.split(" ", 1)
    path, _, value = rest.partition("=")
    *parents, key = path.split("/")
    owner = dialog
    for parent in parents:
        owner = owner[parent]
    if verb == "del":
        del owner[key]
    else:
        owner[key] = json.loads(value)
    return dialog
