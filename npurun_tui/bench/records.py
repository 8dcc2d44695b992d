"""What a bench has found, as plain data: kept in the history as JSON, exported, compared, and shown.

Field names are those of `bench --json` where that has them. A number that nothing has measured is None, never a guess.
Units stand in the names: `_ms` milliseconds, `_tps` tokens a second, `_s` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["stop", "length", "aborted", "empty", "failed"]
"""`empty`: the model answered nothing; `failed`: `Run.fault` says why."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One run on one clock."""

    ttft_ms: float | None
    """To the first generated token."""
    prefill_tps: float | None
    """Prefilled tokens by the time to the first token."""
    decode_tps: float | None
    """Tokens after the first by the time after the first; None below two tokens."""


NOT_TIMED = Clock(None, None, None)


@dataclass(frozen=True, slots=True)
class Run:
    """One question and its answer."""

    side: str
    """`Side.key` of what was asked."""
    prompt: str
    """The prompt's name."""
    context: int
    """Context window, tokens; 0 where it is not known."""
    repeat: int
    """From 0."""
    warmup: bool
    """Shown, and left out of every figure."""
    began_s: float
    """On the session's clock: seconds after it began."""
    total_ms: float
    """Host's clock, from the question to the end of the answer."""
    host: Clock
    engine: Clock
    """The runtime's own profile; NOT_TIMED where it has none."""
    prompt_tokens: int | None
    """All of the prompt's; the tokenizer's count, as are the other two."""
    cached_tokens: int | None
    completion_tokens: int | None
    outcome: Outcome
    fault: str = ""
    turn: int = 0
    """In a conversation of several turns, from 1; 0 elsewhere."""
    reuse: bool = False
    """The conversation's KV cache was kept from turn to turn."""
    max_tokens: int = 0
    """The answer's limit; 0 where it is not known."""

    @property
    def counts(self) -> bool:
        """Whether the figures may use it."""
        return not self.warmup and self.outcome in ("stop", "length")


@dataclass(frozen=True, slots=True)
class Load:
    """Having the model loaded."""

    side: str
    cold: bool
    """In a new engine process; else the files were read a moment ago, and the system has them in memory."""
    ms: float
    context: int


@dataclass(frozen=True, slots=True)
class Side:
    """What is measured: `a`, and `b` where there is a baseline."""

    key: str
    model: str
    backend: str
    """`genie`, `llama.cpp`, or the dialect of an endpoint: `openai`, `ollama`."""
    device: str
    """Where it runs, in words: `CPU (llama.cpp)`, `NPU (Genie 1.21.0)`; an endpoint's address."""
    runtime: str = ""
    """The runtime's version, where it is known."""
    model_hash: str = ""
    """SHA-256 of the model's main file, as its manifest has it."""
    quant: str = ""
    context: int = 0

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.model} · {self.device}" if self.device else self.model


@dataclass(frozen=True, slots=True)
class Sample:
    """How the machine was at one moment; None where it cannot be read here."""

    at_s: float
    """On the session's clock."""
    cpu_percent: float | None = None
    """Of all cores together, 0 to 100."""
    rss_mb: float | None = None
    """Of the engine's processes."""
    temperature_c: float | None = None
    """The hottest that can be read of the processor's."""
    watts: float | None = None
    npu_percent: float | None = None
    npu_memory_mb: float | None = None
    battery_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Energy:
    """What the runs of one side have cost above the idle machine."""

    side: str
    source: str
    """What measured it, in words."""
    idle_watts: float
    busy_watts: float
    joules: float
    """Above idle."""
    tokens: int
    joules_per_token: float
    uncertainty: float
    """Half the width of the 95 % interval of `joules_per_token`."""
    seconds: float
    warning: str = ""
    """Why it should not be trusted, where it should not."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, in words; empty where that is not known."""

    system: str = ""
    soc: str = ""
    npu: str = ""
    driver: str = ""
    cores: int = 0
    memory_mb: int = 0
    power: str = ""
    """`battery`, `mains`, or empty."""
    program: str = ""
    """This program's version."""


@dataclass(frozen=True, slots=True)
class Session:
    """One bench."""

    id: str
    """Hexadecimal, made by us."""
    began: float
    """Unix seconds."""
    seconds: float
    complete: bool
    reason: str
    """Why it is not complete, in words; empty where it is."""
    machine: Machine
    plan: dict[str, object]
    """`Plan` as JSON: settings that have to be the same for two sessions to be compared."""
    sides: tuple[Side, ...]
    loads: tuple[Load, ...] = ()
    runs: tuple[Run, ...] = ()
    samples: tuple[Sample, ...] = ()
    energy: tuple[Energy, ...] = ()
    energy_note: str = ""
    """Why there is none, in words."""
    notes: tuple[str, ...] = field(default=())
    """What a person should know of how it went."""

    def side(self, key: str) -> Side:
        """The side of that key. Raises KeyError."""
        for side in self.sides:
            if side.key == key:
                return side
        raise KeyError(key)

    def counted(self, key: str = "a") -> list[Run]:
        """The runs of a side that the figures may use."""
        return [run for run in self.runs if run.side == key and run.counts]
