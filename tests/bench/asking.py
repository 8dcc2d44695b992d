"""Asking one question of a target, as the tests of endpoints do."""

from __future__ import annotations

from dataclasses import dataclass, field

from npurun_tui.bench.endpoint import EndpointTarget
from npurun_tui.bench.records import Load, Side
from npurun_tui.bench.target import Measured, Progress, Question
from npurun_tui.engine.messages import ChatMessage

HI = (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"))


@dataclass
class Heard:
    """What came of it."""

    measured: list[Measured] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    side: Side | None = None
    load: Load | None = None
    waits: list[tuple[int, str]] = field(default_factory=list)
    loads: int = 0

    @property
    def one(self) -> Measured:
        [measured] = self.measured
        return measured

    def loading(self) -> None:
        self.loads += 1


async def ask(
    target: EndpointTarget,
    *questions: Question,
    context: int = 0,
    heard: Heard | None = None,
) -> Heard:
    """Have `questions` answered, one for 20 tokens where none is given."""
    heard = heard or Heard()
    wait = heard.waits
    async with target.at_hand(context, lambda *told: wait.append(told), heard.loading) as hand:
        heard.load = hand.load
        for question in questions or (Question(HI, 20),):
            heard.measured.append(await hand.measure(question, heard.progress))
        heard.side = hand.side
    return heard
