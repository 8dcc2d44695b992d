"""What two conversations that take turns cost, against one at a time: A, B, A, B… ten turns each.

    uv run python -m benchmarks.interleaved [--runs 3] [--model NAME] [--without]

Each run holds conversation A alone, then B alone, then both in turn, with the same questions and greedy answers,
through the whole engine (process, pipe, permit, template, dialog, snapshots). Each interleaved turn is compared with
the same turn of the same conversation alone. `--without` also shows what the turns cost where no cache is saved; that
takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
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


Pair = tuple[list[Chat], list[Chat]]
"""Chats held alone, and the same in turn."""


async def one_run(permit: Permit, model: LoadedModel, run: int) -> Pair:
    """Each conversation alone, then both in turn."""
    alone = [Chat(name, run) for name in QUESTIONS]
    for chat in alone:
        await permit.dialog.reset()
        for _ in range(TURNS):
            await chat.ask(permit, model)
    await permit.dialog.reset()
    return alone, await in_turn(permit, model, run)


async def in_turn(permit: Permit, model: LoadedModel, run: int) -> list[Chat]:
    """A, B, A, B…"""
    chats = [Chat(name, run) for name in QUESTIONS]
    for _ in range(TURNS):
        for chat in chats:
            await chat.ask(permit, model)
    return chats


async def measure(installed: InstalledModel, runs: int, *, without: bool) -> list[Pair]:
    """All runs; the first is a warm-up and left out. `without`: only what is in turn, with nothing saved."""
    with tempfile.TemporaryDirectory() as folder:
        limit = 0 if without else LIMIT_BYTES
        cache = ConversationCache(Path(folder) / "conversations", limit)
        engine = Engine(log=Path(folder) / "engine.log", conversations=cache)
        try:
            async with engine.permit("benchmark") as permit:
                model = await permit.load(installed.manifest.spec(installed.folder))
                if without:
                    return [([], await in_turn(permit, model, 0))]
                return [await one_run(permit, model, run) for run in range(runs + 1)][1:]
        finally:
            await engine.aclose()


def ttft(chats: Sequence[Chat], turn: int) -> list[float]:
    """Milliseconds of each chat's turn (from 0)."""
    return [chat.turns[turn].ttft_ms for chat in chats]


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--without", action="store_true")
    options = parser.parse_args()
    installed = ModelStore(Paths.resolve().models).get(options.model)
    pairs = asyncio.run(measure(installed, options.runs, without=False))
    print(report.machine())
    alone = [chat for pair in pairs for chat in pair[0]]
    mixed = [chat for pair in pairs for chat in pair[1]]
    for turn in range(TURNS):
        cached = statistics.median(chat.turns[turn].cached_tokens for chat in mixed)
        prompt = statistics.median(chat.turns[turn].prompt_tokens for chat in mixed)
        print(
            f"turn {turn + 1:2}: prompt {prompt:5.0f}, cached {cached:5.0f}, "
            f"TTFT alone {report.spread(ttft(alone, turn), 'ms', 0)}, "
            f"in turn {report.spread(ttft(mixed, turn), 'ms', 0)}"
        )
    if options.without:
        (_, bare), *_ = asyncio.run(measure(installed, 0, without=True))
        for turn in (1, TURNS - 1):
            print(f"turn {turn + 1:2} without: {report.spread(ttft(bare, turn), 'ms', 0)}")
    later = range(1, TURNS)
    figures = statistics.median(
        other.turns[turn].ttft_ms / one.turns[turn].ttft_ms
        for one, other in zip(alone, mixed, strict=True)
        for turn in later
    )
    clock = statistics.median(
        other.first_pieces[turn] / one.first_pieces[turn]
        for one, other in zip(alone, mixed, strict=True)
        for turn in later
    )
    last = statistics.median(ttft(mixed, TURNS - 1)) / statistics.median(ttft(alone, TURNS - 1))
    limits = [
        ("TTFT in turn / alone, turns 2 to 10", figures, 1.5),
        ("the same on the host's clock, to the first text", clock, 1.5),
        ("TTFT in turn / alone, turn 10", last, 1.5),
    ]
    return 0 if report.all_kept(limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
