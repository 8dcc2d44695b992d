"""`doctor --prove`: does this model run on the NPU? Three checks, of which none alone would prove it.

The NPU's use is sampled while the model answers; the bundle's target is compared with this machine; the decode rate is
compared with what a CPU does. Only where all three agree is it proven.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from npurun_tui import units
from npurun_tui.chat.model import ChatSettings
from npurun_tui.commands.findings import Finding, Section, Sign
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.genie.bundle import read_bundle
from npurun_tui.engine.genie.rules import HTP
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.spec import BACKEND_LABELS, ModelSpec
from npurun_tui.engine.transcript import begin_turn
from npurun_tui.hardware.chips import chip_of
from npurun_tui.hardware.inventory import Inventory
from npurun_tui.hardware.target import Check, read_target, target_check
from npurun_tui.hardware.usage import NpuUsage, family
from npurun_tui.models.store import InstalledModel, ModelStore

PROMPT: Final = "Explain in about 150 words why the sky is blue."
TOKENS: Final = 96
"""Long enough for several samples at 15 tok/s, short enough for a CPU."""

BUSY: Final = 5.0
"""Percent: an idle NPU shows 0 to 1, one that generates 19 to 30 (device reports)."""
RATE_4B: Final = 5.0
"""Tokens a second that a model of some 4 billion parameters exceeds on the NPU."""
TIMES_CPU: Final = 3.0

CPU: Final = "runs on the CPU"
PROVEN: Final = "proven on the NPU"

MakeEngine = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Run:
    """One measured answer."""

    decode_tps: float
    tokens: int
    load_ms: float
    samples: tuple[float, ...]
    unsampled: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The verdict and what it stands on."""

    model: str
    verdict: str
    run: Run
    checks: tuple[Check, ...] = ()

    @property
    def proven(self) -> bool:
        return self.verdict == PROVEN

    def section(self) -> Section:
        """The proof in words."""
        words = f"{units.count(self.run.tokens, 'token')} at {units.rate(self.run.decode_tps)}"
        signs = {True: Sign.GOOD, False: Sign.FAULT, None: Sign.NOTICE}
        labels = {"usage": "NPU use", "target": "target", "rate": "rate"}
        findings = [Finding("run", "answered", words)]
        findings += [Finding(c.key, labels[c.key], c.words, signs[c.passed]) for c in self.checks]
        sign = Sign.GOOD if self.proven else Sign.NOTICE
        findings.append(Finding("verdict", "verdict", self.verdict, sign))
        return Section("proof", f"Proof for {self.model}", tuple(findings))

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "verdict": self.verdict,
            "proven": self.proven,
            "decode_tps": round(self.run.decode_tps, 2),
            "completion_tokens": self.run.tokens,
            "load_ms": round(self.run.load_ms, 1),
            "npu_use": list(self.run.samples),
            "checks": {
                check.key: {"passed": check.passed, "text": check.words} for check in self.checks
            },
        }


def prove(
    model: InstalledModel, store: ModelStore, inventory: Inventory, make_engine: MakeEngine
) -> Proof:
    """Load `model`, let it answer, and judge (a minute at most on working machines).

    Raises:
        EngineError, ModelError: it cannot be loaded or does not answer.
    """
    spec = model.manifest.spec(model.folder)
    run = asyncio.run(measure(spec, make_engine))
    if model.manifest.backend != "genie" or not _for_npu(spec, inventory):
        how = BACKEND_LABELS["llama.cpp"] if model.manifest.backend != "genie" else "CPU (Genie)"
        return Proof(model.name, f"{CPU}: {how} made this answer", run)
    rival = comparable(model, store)
    baseline = (
        asyncio.run(measure(rival.manifest.spec(rival.folder), make_engine)) if rival else None
    )
    hardware = inventory.hardware
    archs = inventory.runtime.archs if inventory.runtime else ()
    chip = chip_of(hardware.npu.text, hardware.soc.text)
    checks = (
        usage_check(run),
        target_check(
            read_target(spec.model_file.parent if spec.model_file else spec.folder), archs, chip
        ),
        rate_check(run.decode_tps, model.manifest.parameters or model.name, rival, baseline),
    )
    return Proof(model.name, verdict(checks), run, checks)


async def measure(spec: ModelSpec, make_engine: MakeEngine) -> Run:
    """One greedy answer through an engine of its own, the NPU's use sampled meanwhile."""
    engine, usage = make_engine(), NpuUsage()
    try:
        async with engine.permit("doctor") as permit:
            model = await permit.load(spec)
            options = ChatSettings(temperature=0.0, max_tokens=TOKENS).options()
            turn = begin_turn(permit, model.context_size, [ChatMessage("user", PROMPT)], options)
            await usage.start(lambda: family(engine.pid))
            try:
                finished = await turn.run(lambda _: None)
            finally:
                await usage.stop()
    finally:
        await engine.aclose()
    stats = finished.stats
    return Run(
        stats.decode_tps, stats.completion_tokens, model.load_ms, tuple(usage.samples), usage.reason
    )


def _for_npu(spec: ModelSpec, inventory: Inventory) -> bool:
    """True where the bundle's config names the NPU's backend."""
    version = inventory.answer.version if inventory.answer else None
    if spec.model_file is None or version is None:
        return False
    return read_bundle(spec.model_file, version).backend == HTP


def comparable(model: InstalledModel, store: ModelStore) -> InstalledModel | None:
    """An installed CPU model of the same size or, failing that, none: another size would prove nothing."""
    size = billions(model.manifest.parameters or model.name)
    for other in store.scan()[0]:
        theirs = billions(other.manifest.parameters or other.name)
        if (
            other.manifest.backend == "llama.cpp"
            and size
            and theirs
            and 0.75 < theirs / size < 1.34
        ):
            return other
    return None


def billions(words: str) -> float:
    """`4B`, `135M`, `qwen3-4b-instruct` as billions of parameters; 0 where no number says it."""
    match = re.search(r"(?<![\w.])(\d{1,4}(?:\.\d{1,3})?)([BbMm])(?![a-zA-Z])", words)
    if match is None:
        return 0.0
    return float(match[1]) / (1000 if match[2] in "Mm" else 1)


# --- the checks --------------------------------------------------------------------------------


def usage_check(run: Run) -> Check:
    """The NPU must have been busy for most of the run."""
    if not run.samples:
        return Check("usage", None, f"NPU use {run.unsampled}")
    samples = sorted(run.samples)
    middle = samples[len(samples) // 2]
    words = f"{middle:.0f} % at the median of {units.count(len(samples), 'sample')}, {samples[-1]:.0f} % at most"
    return Check("usage", middle >= BUSY, words)


def rate_check(
    decode_tps: float, parameters: str, rival: InstalledModel | None, baseline: Run | None
) -> Check:
    """Three times the CPU where a like model is installed, or more than a CPU's rate at some 4 billion parameters."""
    words = units.rate(decode_tps)
    if rival is not None and baseline is not None and baseline.decode_tps:
        times = decode_tps / baseline.decode_tps
        words += f", {times:.1f} times {rival.name} on the CPU ({units.rate(baseline.decode_tps)})"
        return Check("rate", times >= TIMES_CPU, words)
    size = billions(parameters)
    if 3.0 <= size <= 5.0:
        return Check(
            "rate",
            decode_tps > RATE_4B,
            f"{words}; more than {RATE_4B:.0f} is the NPU's at {size:g}B",
        )
    return Check("rate", None, f"{words}; no CPU model of this size is installed to compare with")


def verdict(checks: tuple[Check, ...]) -> str:
    """All three must agree."""
    if all(check.passed for check in checks):
        return PROVEN
    doubts = [check.words for check in checks if check.passed is False]
    doubts = doubts or [check.words for check in checks if check.passed is None]
    return f"not proven: {'; '.join(doubts)}"
