"""Faults of every kind, one after another, in a chat as a person has it: what must hold after each of them.

A scripted model behind Genie's C interface is told before each question how to fail. The question goes through
everything: session, permit, turn, engine process, pipe, cffi, C. A question that failed in the middle is asked again,
as a person would.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from npurun_tui.chat.library import ChatLibrary
from npurun_tui.chat.model import Chat
from npurun_tui.chat.session import ChatSession
from npurun_tui.engine.engine import Engine
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import EngineCrashed
from tests.support.genie_bundle import config, write_bundle

TEXT: Final = "Yes, the fox jumps over the dog 👍 again and again."
"""What the scripted model says; it has a character of several tokens in it."""

SILENCE: Final = 1.0
"""Seconds until a hang is taken for one."""

TURNS: Final = 6
"""Questions in a chat before the next one begins."""

MIX: Final = (
    ("crash", 5),
    ("hang", 1),
    ("wedge-process", 2),
    ("poison", 3),
    ("wedge", 1),
    ("empty", 3),
    ("rewind", 3),
    ("rewind-discard", 2),
    ("full", 2),
    ("split", 2),
)
"""Kinds of faults and how often each comes."""


class SoakFailed(AssertionError):
    """Something that must hold did not."""


@dataclass(slots=True)
class Tally:
    """What happened."""

    faults: Counter[str] = field(default_factory=Counter)
    asked_again: int = 0
    """Questions whose first answer broke off; what had come was kept."""
    noted: Counter[str] = field(default_factory=Counter)
    """What the turns' figures said of how they came about."""
    processes: int = 0
    descriptors: int = 0
    """Open in this process at the end above those at the beginning."""
    left_running: int = 0
    seconds: float = 0.0


def write_model(folder: Path) -> tuple[Path, Path]:
    """A bundle with a scripted model; `(genie_config.json, script)`."""
    script = folder / "script.json"
    document = config(context=4096, vocabulary=2_000_000, bos=-1, eos=256, model=str(script))
    file = write_bundle(folder, document, [], {})
    tell(script, [])
    return file, script


def tell(script: Path, defects: list[dict[str, Any]]) -> None:
    """Have the model fail so from its next query on. Atomic: it may be read at any moment."""
    text = json.dumps({"text": TEXT, "context": 4096, "defects": defects})
    partial = script.with_suffix(".part")
    partial.write_text(text, "utf-8")
    partial.replace(script)


class Soak:
    """One run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._file, self._script = write_model(folder / "model")
        self._library = ChatLibrary(folder / "chats.db")
        self._engine = Engine(log=folder / "engine.log", answer_timeout=SILENCE)
        self._session = self._new_session()
        self._pids: set[int] = set()
        self.tally = Tally()

    async def run(self, faults: int) -> Tally:
        """Inject `faults` of them; what happened.

        Raises:
            SoakFailed: a message was lost, an answer did not come, a process or a descriptor was left.
        """
        began, before = time.monotonic(), psutil.Process().num_fds()
        kinds = [kind for kind, weight in MIX for _ in range(weight)]
        self._random.shuffle(kinds)
        try:
            await self._ask({})
            before = psutil.Process().num_fds()
            for number in range(faults):
                if number % TURNS == 0:
                    await self._check_kept()
                    self._session = self._new_session()
                    await self._ask({})
                await self._ask(self._fault(kinds[number % len(kinds)]))
            await self._ask({})
            await self._check_kept()
            self.tally.descriptors = psutil.Process().num_fds() - before
        finally:
            await self._engine.aclose()
            await self._library.aclose()
        self._check_processes()
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _new_session(self) -> ChatSession:
        spec = ModelSpec("scripted", "genie", self._file.parent, self._file)
        return ChatSession(Chat(model="scripted"), self._engine, self._library, lambda _name: spec)

    def _fault(self, kind: str) -> dict[str, Any]:
        self.tally.faults[kind] += 1
        at = self._random.randrange(6) if kind in ("crash", "hang") else 0
        return {"kind": kind, "at": at}

    async def _ask(self, fault: dict[str, Any]) -> None:
        """Ask a question that fails as `fault` says, and have its whole answer in the end."""
        session, number = self._session, self._queries() + 1
        tell(self._script, [fault | {"on": [number]}] if fault else [])
        session.say(f"Question {self._random.randrange(10**6)}, does the fox jump?")
        asked = len(session.chat.messages)
        try:
            await session.answer(lambda _event: None)
        except EngineCrashed:
            self._check_kept_part(asked)
            self.tally.asked_again += 1
            session.take_back_answer()
            await session.answer(lambda _event: None)
        if self._engine.pid is not None:
            self._pids.add(self._engine.pid)
        answer = session.chat.messages[-1]
        if answer.role != "assistant" or answer.content != TEXT:
            raise SoakFailed(f"after {fault}: the answer is {answer.content!r} ({answer.outcome})")
        if answer.stats is not None and answer.stats.note:
            self.tally.noted[answer.stats.note] += 1

    def _queries(self) -> int:
        try:
            return int(self._script.with_suffix(".count").read_text("ascii"))
        except FileNotFoundError:
            return 0

    def _check_kept_part(self, asked: int) -> None:
        """The question is there, and of the answer what had come."""
        messages = self._session.chat.messages
        if messages[asked - 1].role != "user":
            raise SoakFailed("the question was lost")
        part = messages[asked].content if len(messages) > asked else ""
        if not TEXT.startswith(part):
            raise SoakFailed(f"the kept part is {part!r}")

    async def _check_kept(self) -> None:
        """The database has every message of this chat."""
        chat = self._session.chat
        if chat.id is None:
            raise SoakFailed("the chat was never saved")
        kept = await self._library.load(chat.id)
        if [m.content for m in kept.messages] != [m.content for m in chat.messages]:
            raise SoakFailed("the database lost a message")

    def _check_processes(self) -> None:
        """Every engine process that ever was is gone, those that lived within a turn included."""
        self.tally.processes = len(self._pids)
        mine = psutil.Process(os.getpid()).children(recursive=True)
        self.tally.left_running = len(mine)
        if self.tally.left_running:
            raise SoakFailed(f"{self.tally.left_running} engine processes are left")


def soak(folder: Path, faults: int, seed: int = 1) -> Tally:
    """Run a soak of so many faults in `folder`."""

    async def run() -> Tally:
        return await Soak(folder, seed).run(faults)

    return asyncio.run(run())
