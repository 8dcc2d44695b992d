"""A side of a bench that plays a part: what it answers, how it fails, and how the machine sleeps meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace

from npurun_tui.bench.events import BenchEvent
from npurun_tui.bench.metering import Span
from npurun_tui.bench.records import Clock, Energy, Load, Machine, Outcome, Sample, Side
from npurun_tui.bench.target import Measured, OnWait, Progress, Question
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.errors import NpurunError

MACHINE = Machine(system="a test")

Hook = Callable[[Question], None]


@dataclass(eq=False)
class Played:
    """`Target` and, while it is at hand, `Measuring`. `faults` and `hooks` go by the number of the question, from 0."""

    key: str = "a"
    window: int = 512
    loads: bool = True
    """Its model is loaded by whoever wants it, and leaves when another side is at hand."""
    counts: bool = True
    outcome: Outcome = "length"
    text: str = "so it is"
    faults: dict[int, NpurunError] = field(default_factory=dict)
    always: NpurunError | None = None
    absent: NpurunError | None = None
    hang: int = -1
    """The question that is never answered."""
    hooks: dict[int, Hook] = field(default_factory=dict)
    stage: list[str] = field(default_factory=list)
    """What is loaded; two sides of one engine share it."""
    log: list[str] = field(default_factory=list)
    """What happened, for both sides of a bench in one list."""
    questions: list[Question] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    pids: frozenset[int] = frozenset()
    near: bool = True
    load: Load | None = None
    loaded: int = 0

    @property
    def side(self) -> Side:
        return Side(self.key, f"model-{self.key}", "genie", "NPU (played)", context=self.window)

    async def check(self, contexts: Sequence[int]) -> None:
        """It may be gone when it is needed, and is there when it is looked for."""

    def quiet(self, on_wait: OnWait) -> AbstractAsyncContextManager[None] | None:
        return None

    @asynccontextmanager
    async def at_hand(
        self, context: int, on_wait: OnWait, on_load: Callable[[], None], *, fresh: bool = False
    ) -> AsyncIterator[Played]:
        if self.absent is not None:
            raise self.absent
        del on_wait
        self.window = context or self.window
        name = f"{self.key}{context}"
        self.load = None
        if self.loads and (fresh or self.stage != [name]):
            on_load()
            self.stage[:] = [name]
            self.loaded += 1
            self.load = Load(self.key, self.loaded == 1, 5.0, self.window)
        self.log.append(f"+{self.key}")
        try:
            yield self
        finally:
            self.log.append(f"-{self.key}")

    async def count(self, messages: tuple[ChatMessage, ...]) -> int | None:
        if not self.counts:
            return None
        return 10 + sum(len(message.content.split()) for message in messages)

    async def measure(self, question: Question, progress: Progress) -> Measured:
        number = len(self.questions)
        self.questions.append(question)
        self.log.append(self.key)
        progress.asked = time.perf_counter()
        if number == self.hang:
            progress.first = progress.last = time.perf_counter()
            progress.tokens = 3
            self.hanging.set()
            await asyncio.get_running_loop().create_future()
        if (hook := self.hooks.get(number)) is not None:
            hook(question)
        if (fault := self.faults.get(number, self.always)) is not None:
            raise fault
        prompt = await Played(window=self.window).count(question.messages)
        clock = Clock(10.0, 100.0, 20.0)
        return Measured(
            100.0, clock, replace(clock, ttft_ms=9.0), prompt, 0, 3, self.outcome, self.text
        )


@dataclass
class Heard:
    """A listener that remembers."""

    events: list[BenchEvent] = field(default_factory=list)

    def __call__(self, event: BenchEvent) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """Names of the events, in order."""
        return [type(event).__name__ for event in self.events]


@dataclass
class Wall:
    """A time of day that a test can put forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class PlayedMeter:
    """Samples at once, once."""

    note: str = ""
    power: str = "battery"
    notes: list[str] = field(default_factory=lambda: ["The charger was pulled out after 3 s."])
    asked: list[tuple[str, Sequence[Span], Sequence[Span], int]] = field(default_factory=list)
    stopped: bool = False

    def start(self, clock: Callable[[], float], heard: Callable[[Sample], None]) -> None:
        import threading

        thread = threading.Thread(target=lambda: heard(Sample(clock(), watts=4.0)))
        thread.start()
        thread.join()

    async def ready(self) -> None:
        """It is at once."""

    async def stop(self) -> None:
        self.stopped = True

    def energy(
        self, side: str, idle: Sequence[Span], busy: Sequence[Span], tokens: int
    ) -> Energy | None:
        self.asked.append((side, idle, busy, tokens))
        return Energy(side, "a test", 4.0, 9.0, 5.0, tokens, 5.0 / tokens, 0.1, 1.0)
