"""How patient a pull is: attempts, delays, and the silences that it takes for a stall."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from npurun_tui import units
from npurun_tui.errors import NetworkUnavailable, PullFailed
from npurun_tui.models.pull.part import BLOCK
from npurun_tui.models.pull.progress import Meter


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds."""

    attempts: int = 6
    """Attempts in a row that bring nothing new, after which the pull fails."""
    later_attempts: int = 9
    """The same where something has come before: a network that changes, or a lid that was shut, takes a minute."""
    first_attempts: int = 2
    """The same where no server has answered at all yet: being offline should be said soon."""
    first_delay: float = 0.5
    """The wait after the first failure; it doubles with each further one."""
    max_delay: float = 15.0
    max_retry_after: float = 120.0
    """A server that asks for a longer wait than this ends the pull with a sentence."""
    connect_timeout: float = 15.0
    answer_timeout: float = 60.0
    """An answer has to begin within this, however its headers drip."""
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
        self._most = policy.first_attempts

    def progressed(self) -> None:
        """Something new arrived: earlier failures are forgotten."""
        self._failures = 0
        self._most = max(self._policy.attempts, self._policy.later_attempts)

    async def wait(self, trouble: Trouble) -> None:
        """Wait before the next attempt.

        Raises:
            PullFailed: (the trouble's own error) there were enough attempts, or the server asks for too long a wait.
        """
        policy = self._policy
        self._failures += 1
        if not trouble.unreachable:
            self._most = max(self._most, policy.attempts)
        if self._failures >= self._most:
            raise trouble.error from trouble
        asked = trouble.retry_after or 0.0
        if asked > policy.max_retry_after:
            wait = units.whole_seconds(asked)
            raise PullFailed(
                f"{trouble.error.message} It asks to wait {wait}.", mend="Pull again then."
            )
        # Behind the time that it names, too, clients should not all come at once.
        delay = max(asked + policy.delay(1), policy.delay(self._failures))
        self._meter.note = f"{trouble.error.message} Trying again in {units.whole_seconds(delay)}."
        await asyncio.sleep(delay)
        self._meter.note = ""


class Pace:
    """Tells a connection that drips from one that is slow: the first is given up for a new one."""

    def __init__(self, policy: Policy, server: str) -> None:
        """`server` is how it is called to people."""
        self._policy = policy
        self._server = server
        self._since = time.monotonic()
        self._received = 0

    def check(self, count: int) -> None:
        """`count` bytes more have come. Raises Trouble where that is next to nothing for a long time."""
        self._received += count
        now = time.monotonic()
        if now - self._since < self._policy.drip_window:
            return
        if self._received < self._policy.drip_bytes:
            raise Trouble(
                NetworkUnavailable(
                    f"{self._server} sends next to nothing.",
                    mend="Pull again later; it goes on where it stopped.",
                )
            )
        self._since, self._received = now, 0
