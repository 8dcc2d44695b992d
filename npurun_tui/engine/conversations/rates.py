"""What prefilling, saving and restoring take on this machine with this model, learnt as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFILL_SAMPLE: Final = 32
"""Tokens: what a shorter prefill takes says more about a query's fixed costs."""

_WEIGHT: Final = 0.3
"""Of a new measurement. Others use the machine too, so a single one says little."""


@dataclass(slots=True)
class Rates:
    """Seconds for each token or byte. The first values are those of a middling laptop; a few turns put them right."""

    prefill: float = 1 / 200
    """Seconds for each token."""
    save: float = 1 / 300e6
    """Seconds for each byte."""
    restore: float = 1 / 600e6
    """Seconds for each byte."""
    size: float = 64e3
    """Bytes for each token: 23 KB of a model of 135 million parameters, some 130 KB of one of eight billion."""

    def prefilled(self, tokens: int, seconds: float) -> None:
        """A prefill was measured."""
        if tokens >= PREFILL_SAMPLE and seconds > 0:
            self.prefill = _mixed(self.prefill, seconds / tokens)

    def saved(self, tokens: int, size: int, seconds: float) -> None:
        """A snapshot of `tokens` and `size` bytes was written."""
        if tokens and size:
            self.size = size / tokens  # the same for all of a model's snapshots
            self.save = _mixed(self.save, seconds / size)

    def restored(self, size: int, seconds: float) -> None:
        """A snapshot of `size` bytes was brought back."""
        if size:
            self.restore = _mixed(self.restore, seconds / size)

    def bytes_of(self, tokens: int) -> int:
        """About how large a snapshot of `tokens` is."""
        return int(tokens * self.size)

    def to_prefill(self, tokens: int) -> float:
        """Seconds."""
        return tokens * self.prefill

    def to_save(self, tokens: int) -> float:
        """Seconds."""
        return self.bytes_of(tokens) * self.save

    def to_restore(self, tokens: int) -> float:
        """Seconds."""
        return self.bytes_of(tokens) * self.restore


def _mixed(old: float, new: float) -> float:
    return old + _WEIGHT * (new - old)
