"""What two conversations that take turns cost, against one at a time: A, B, A, B… ten turns each.

    uv run python -m benchmarks.interleaved [--runs 3] [--model NAME] [--without]

Two engines side by side: in one, conversation A is alone; in the other, A and B take turns. Each round asks the first
engine for a turn of A and the second one for a turn of A and of B, with the same questions and greedy answers, through
the whole engine (process, pipe, permit, template, dialog, snapshots); in every other run B is the one that is
compared with its twin. `--without` also shows what it costs where no cache is saved; that takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from npurun_tui.engine.conversations import ConversationCache
from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.engine import Engine, LoadedModel, Permit
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.transcript import Piece, Prefill, TurnOptions, TurnStats, begin_turn
from npurun_tui.models.store import InstalledModel, ModelStore
from npurun_tui.settings import Paths

TURNS = 10
ANSWER = 60
QUESTIONS = {
    "A": "In chapter {run}, tell me something worth knowing about the number {turn}, in two sentences.",
    "B": "On day {run} of my journey, describe town {turn} to me: its market, its people and its river.",
}
LIMIT_BYTES = 2_000_000_000


class Chat:
    """One conversation and what each of its turns cost."""

    def __init__(self, name: str, run: int) -> None:
        self._question = QUESTIONS[name]
        self._run = run
        self._messages: list[ChatMessage] = []
        self.turns: list[TurnStats] = []
        self.first_pieces: list[float] = []
        """Milliseconds from the call to the first text, on the host's clock."""

    async def ask(self, permit: Permit, model: LoadedModel) -> None:
        """One more turn."""
        question = self._question.format(run=self._run, turn=len(self.turns) + 1)
        self._messages.append(ChatMessage("user", question))
        pieces: list[str] = []
        times: list[float] = []

        def keep(event: Prefill | Piece) -> None:
            if isinstance(event, Piece):
                times.append(time.perf_counter())
                pieces.append(event.text)

        options = TurnOptions(Sampler(temperature=0), max_tokens=ANSWER)
        began = time.perf_counter()
        turn = begin_turn(permit, model.context_size, self._messages, options)
        finished = await turn.run(keep)
        self.turns.append(finished.stats)
        self.first_pieces.append((times[0] - began) * 1000 if times else 0.0)
        self._messages.append(ChatMessage("assistant", "".join(pieces)))


@dataclass(frozen=True, slots=True)
class Run:
    """The same conversation alone and in turn with another one."""

    alone: Chat
    mixed: Chat


@asynccontextmanager
async def engine(
    installed: InstalledModel, limit: int
) -> AsyncIterator[tuple[Permit, LoadedModel]]:
    """An engine of its own, with the model loaded, that keeps `limit` bytes of caches."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ConversationCache(Path(folder) / "conversations", limit)
        engine = Engine(log=Path(folder) / "engine.log", conversations=cache)
        try:
            async with engine.permit("benchmark") as permit:
                yield permit, await permit.load(installed.manifest.spec(installed.folder))
        finally:
            await engine.aclose()


async def measure(installed: InstalledModel, runs: int, limit: int) -> list[Run]:
    """All runs; the first is a warm-up and left out."""
    async with engine(installed, 0) as single, engine(installed, limit) as shared:
        return [await one_run(single, shared, run) for run in range(runs + 1)][1:]


async def one_run(
    single: tuple[Permit, LoadedModel], shared: tuple[Permit, LoadedModel], run: int
) -> Run:
    """Ten turns of each: one alone, and then one of each conversation that share an engine."""
    for permit, _model in (single, shared):
        await permit.dialog.reset()
    mixed = {name: Chat(name, run) for name in QUESTIONS}
    twin = list(QUESTIONS)[run % len(QUESTIONS)]
    alone = Chat(twin, run)
    for _ in range(TURNS):
        await alone.ask(*single)
        for chat in mixed.values():
            await chat.ask(*shared)
    return Run(alone, mixed[twin])


def ttft(chats: Sequence[Chat], turn: int) -> list[float]:
    """Milliseconds of each chat's turn (from 0)."""
    return [chat.turns[turn].ttft_ms for chat in chats]


def show(runs: Sequence[Run]) -> None:
    """Every turn's figures."""
    alone, mixed = [run.alone for run in runs], [run.mixed for run in runs]
    for turn in range(TURNS):
        cached = statistics.median(chat.turns[turn].cached_tokens for chat in mixed)
        prompt = statistics.median(chat.turns[turn].prompt_tokens for chat in mixed)
        print(
            f"turn {turn + 1:2}: prompt {prompt:5.0f}, cached {cached:5.0f}, "
            f"TTFT alone {report.spread(ttft(alone, turn), 'ms', 0)}, "
            f"in turn {report.spread(ttft(mixed, turn), 'ms', 0)}"
        )


def ratio(runs: Sequence[Run], turns: Sequence[int]) -> float:
    """TTFT in turn / alone."""
    return statistics.median(
        run.mixed.turns[turn].ttft_ms / run.alone.turns[turn].ttft_ms
        for run in runs
        for turn in turns
    )


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--without", action="store_true")
    options = parser.parse_args()
    installed = ModelStore(Paths.resolve().models).get(options.model)
    runs = asyncio.run(measure(installed, options.runs, LIMIT_BYTES))
    print(report.machine())
    show(runs)
    later = range(1, TURNS)
    if options.without:
        print("with nothing saved:")
        bare = asyncio.run(measure(installed, 1, 0))
        show(bare)
        print(f"TTFT in turn / alone: {ratio(bare, later):.1f}")
    clock = statistics.median(
        run.mixed.first_pieces[turn] / run.alone.first_pieces[turn]
        for run in runs
        for turn in later
    )
    limits = [
        ("TTFT in turn / alone, turns 2 to 10", ratio(runs, later), 1.5),
        ("the same on the host's clock, to the first text", clock, 1.5),
        ("TTFT in turn / alone, turns 8 to 10", ratio(runs, later[-3:]), 1.5),
    ]
    return 0 if report.all_kept(limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
