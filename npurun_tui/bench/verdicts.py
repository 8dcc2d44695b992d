"""What the figures mean, in one sentence each, for people."""

from __future__ import annotations

from npurun_tui.bench.compare import Comparison, Difference
from npurun_tui.bench.records import Session
from npurun_tui.bench.throttling import Throttling


def difference_words(difference: Difference) -> str:
    """`Decode: 4.2 % slower (2.9 to 5.5 %): a regression.`"""
    raise NotImplementedError


def comparison_words(comparison: Comparison) -> list[str]:
    """One sentence a figure, then what differs, then notes."""
    raise NotImplementedError


def throttling_words(throttling: Throttling) -> list[str]:
    """The rates' spread, the halves, and the verdict."""
    raise NotImplementedError


def speedup_words(session: Session) -> str:
    """`NPU is 3.4 x the CPU's rate (3.2 to 3.6): …`; empty without a baseline that can be compared."""
    raise NotImplementedError


def clock_words(session: Session, key: str = "a") -> str:
    """How far the host's clock and the runtime's own are apart; empty where the runtime has none."""
    raise NotImplementedError
