"""How patient a pull is: attempts, delays, and the silences that it takes for a stall."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from npurun_tui import units
from npurun_tui.errors import PullFailed
from npurun_tui.models.pull.part import BLOCK
from npurun_tui.models.pull.progress import Meter


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds."""

    attempts: int = 6
    """Attempts in a row that bring nothing new, after which the pull fails."""
    first_attempts: int = 2
    """The same where no server has answered at all yet: being offline should be said soon."""
    first_delay: float = 0.5
    """The wait after the first failure; it doubles with each further one."""
    max_delay: float = 15.0
    max_retry_after: float = 120.0
    """A server that asks for a longer wait than this ends the pull with a sentence."""
    connect_timeout: float = 15.0
    stall_timeout: float = 30.0
    """Silence on an open connection that counts as a stall."""
    drip_window: float = 60.0
    drip_bytes: int = 1024
    """A connection that brings less than this in each `drip_window` is given up as if it were silent."""
    connections: int = 4
    """Ranges of one file that are fetched at once."""
    block: int = BLOCK
    """Bytes of one range."""

    def delay(self, failures: int) -> float:
        """The wait after that many failures in a row: exponential, with jitter so that clients spread out."""
        full = min(self.max_delay, self.first_delay * 2.0 ** (failures - 1))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


class Trouble(Exception):
    """A failure that may pass: `error` is what the user is told where it does not.

    `retry_after` is the wait in seconds that the server asked for. `unreachable` means that no server answered,
    `busy` that it would rather have fewer requests.
    """

    def __init__(
        self,
        error: PullFailed,
        *,
        retry_after: float | None = None,
        unreachable: bool = False,
        busy: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.busy = busy


class Patience:
    """Counts the failures of one request in a row, and waits between the attempts."""

    def __init__(self, policy: Policy, meter: Meter) -> None:
        self._policy = policy
        self._meter = meter
        self._failures = 0
        self._reached = False

    def progressed(self) -> None:
        """Something new arrived: earlier failures are forgotten."""
        self._failures = 0
        self._reached = True

    async def wait(self, trouble: Trouble) -> None:
        """Wait before the next attempt.

        Raises:
            PullFailed: (the trouble's own error) there were enough attempts, or the server asks for too long a wait.
        """
        policy = self._policy
        self._failures += 1
        self._reached = self._reached or not trouble.unreachable
        if self._failures >= (policy.attempts if self._reached else policy.first_attempts):
            raise trouble.error from trouble
        asked = trouble.retry_after or 0.0
        if asked > policy.max_retry_after:
            wait = units.whole_seconds(asked)
            raise PullFailed(
                f"{trouble.error.message} It asks to wait {wait}.", mend="Pull again then."
            )
        delay = max(asked, policy.delay(self._failures))
        self._meter.note = f"{trouble.error.message} Trying again in {units.whole_seconds(delay)}."
        await asyncio.sleep(delay)
        self._meter.note = ""
