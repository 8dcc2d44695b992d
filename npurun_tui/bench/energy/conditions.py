"""What happens to the machine meanwhile: it sleeps, and its charger comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from npurun_tui import units
from npurun_tui.bench.energy.account import Gap

GAP: Final = 5.0
"""Seconds between two readings after which the second begins anew."""
SLEEP: Final = 0.5
"""Seconds of sleep after which it does, too: a counter may have begun at 0 again however short it was."""


class Conditions:
    """Looked at before each reading of power; what a person should know of it goes to `note`."""

    def __init__(self, note: Callable[[str], None], asleep: Callable[[], float | None]) -> None:
        """`asleep` is a clock of the seconds slept."""
        self._note = note
        self._asleep = asleep
        self._last: tuple[float, float | None] | None = None
        self.gaps: list[Gap] = []
        self.mains: bool | None = None

    @property
    def looked(self) -> bool:
        """There was one."""
        return self._last is not None

    def gap(self, at: float) -> bool:
        """Whether a reading at `at` does not continue the one before."""
        total = self._asleep()
        before, self._last = self._last, (at, total)
        if before is None:
            return False
        known = total is not None and before[1] is not None
        sleep = (total or 0.0) - (before[1] or 0.0) if known else 0.0
        seconds = max(at - before[0], sleep)
        if seconds <= GAP and sleep <= SLEEP:
            return False
        # A gap without sleep is a source that was slow, and the model may have worked meanwhile.
        slept = sleep > seconds / 2 or not known
        self.gaps.append(Gap(before[0], at, slept))
        words = units.duration(seconds)
        self._note(
            f"The machine slept for {words}: that time is left out of the energy."
            if slept
            else f"Nothing was sampled for {words}."
        )
        return True

    def charger(self, at: float, mains: bool) -> None:
        """It is plugged in, or it is not."""
        if self.mains is not None and mains != self.mains:
            when = f"after {units.duration(at)}"
            self._note(
                f"The charger was plugged in {when}: the battery tells no power from then on."
                if mains
                else f"The charger was pulled out {when}."
            )
        self.mains = mains
