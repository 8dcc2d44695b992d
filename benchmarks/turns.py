"""What a turn costs as a chat grows: prefilled tokens and time to the first token, over ten turns.

    uv run python -m benchmarks.turns [--runs 5] [--model NAME]

Each run is a new chat of ten questions through the whole engine (process, pipe, permit, template, dialog), sampled at
temperature 1, so that answers are not what the tokenizer would have made of them. Turn 10 is compared with turn 2
of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks import report
from npurun_tui.engine.dialog import Sampler
from npurun_tui.engine.engine import Engine, LoadedModel, Permit
from npurun_tui.engine.messages import ChatMessage
from npurun_tui.engine.transcript import (
    Piece,
    Prefill,
    TurnOptions,
    TurnStats,
    begin_turn,
)
from npurun_tui.models.store import ModelStore
from npurun_tui.settings import Paths

TURNS = 10
QUESTION = "Tell me something that is worth knowing about the number {number}, in two sentences. 👍"


async def one_chat(permit: Permit, model: LoadedModel, seed: int) -> list[tuple[int, TurnStats]]:
    """Ten turns: the tokens of each question, and the turn's figures."""
    await permit.dialog.reset()
    messages: list[ChatMessage] = []
    turns: list[tuple[int, TurnStats]] = []
    for number in range(1, TURNS + 1):
        question = QUESTION.format(number=number)
        messages.append(ChatMessage("user", question))
        pieces: list[str] = []

        def keep(event: Prefill | Piece, pieces: list[str] = pieces) -> None:
            if isinstance(event, Piece):
                pieces.append(event.text)

        options = TurnOptions(Sampler(temperature=1.0, seed=seed), max_tokens=60)
        turn = begin_turn(permit, model.context_size, messages, options)
        finished = await turn.run(keep)
        turns.append((len(await permit.dialog.tokenize(question)), finished.stats))
        messages.append(ChatMessage("assistant", "".join(pieces)))
    return turns


async def measure(name: str, runs: int) -> list[list[tuple[int, TurnStats]]]:
    """All chats; the first is a warm-up and left out."""
    installed = ModelStore(Paths.resolve().models).get(name)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(log=Path(folder) / "engine.log")
        try:
            async with engine.permit("benchmark") as permit:
                model = await permit.load(installed.manifest.spec(installed.folder))
                chats = [await one_chat(permit, model, seed) for seed in range(runs + 1)]
        finally:
            await engine.aclose()
    return chats[1:]


def main() -> int:
    """Measure, print, and return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    options = parser.parse_args()
    chats = asyncio.run(measure(options.model, options.runs))
    print(report.machine())
    for number in range(TURNS):
        figures = [chat[number][1] for chat in chats]
        print(
            f"turn {number + 1:2}: prompt {statistics.median(f.prompt_tokens for f in figures):5.0f}, "
            f"prefilled {report.spread([f.prefilled_tokens for f in figures], 'tokens', 0)}, "
            f"TTFT {report.spread([f.ttft_ms for f in figures], 'ms', 0)}"
        )
    above = max(chat[-1][1].prefilled_tokens - chat[-1][0] for chat in chats)
    ratio = statistics.median(chat[-1][1].ttft_ms / chat[1][1].ttft_ms for chat in chats)
    limits = [
        ("turn 10: prefilled above the question's own tokens, most", float(above), 64.0),
        ("TTFT of turn 10 / turn 2", ratio, 1.5),
    ]
    return 0 if report.all_kept(limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
