"""The real engine host with a dialog that plays a part: what it says to which prompt is written in a file.

    python -m tests.support.playing_host SCRIPT.json LOGFILE

Everything else is real: the process, the pipe, the templates. It obeys stop sequences, max tokens and aborts, and
writes each query and how it was set up into SCRIPT.json.heard, one JSON object on a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from npurun_tui.engine import host, loading
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    Ending,
    OnProgress,
    OnText,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)
from npurun_tui.engine.messages import Constraint
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import ContextOverflow


@dataclass
class Script:
    """The part."""

    says: list[tuple[str, str]] = field(default_factory=list)
    """`(what the prompt contains, the answer)`; the first that fits is said."""
    template: str = ""
    piece: int = 4
    """Characters of one token."""
    pause: float = 0.0
    """Seconds before each token."""
    constrains: bool = False
    embeds: bool = False
    crash_after: int = 0
    """Tokens after which the process ends; 0 is never."""

    def command(self, path: Path) -> tuple[str, ...]:
        """The host's command line, with the script written to `path`."""
        path.write_text(json.dumps(asdict(self)), "utf-8")
        return (sys.executable, "-m", "tests.support.playing_host", str(path))


def heard(path: Path) -> list[dict[str, Any]]:
    """The queries that the host with the script at `path` has had."""
    lines = Path(f"{path}.heard").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


class PlayedDialog(Dialog):
    """Says what the script says."""

    def __init__(self, script: Script, heard: Path, spec: ModelSpec) -> None:
        self._script = script
        self._heard = heard
        self._window = spec.context or 4096
        self.chat_template = script.template
        self._stops: Sequence[str] = ()
        self._limit: int | None = None
        self._sampler = Sampler()
        self._constraint: Constraint | None = None
        self._aborted = False
        self._cached = ""
        self._ending: Ending | None = None
        self._stop_sequence = ""
        self._said = 0
        self._read = 0

    @property
    def context_size(self) -> int:
        return self._window

    @property
    def place(self) -> str:
        return "NPU (played)"

    @property
    def special_tokens(self) -> Sequence[str]:
        return ()

    @property
    def constrains(self) -> bool:
        return self._script.constrains

    def set_constraint(self, constraint: Constraint | None) -> None:
        self._constraint = constraint

    @property
    def embeds(self) -> bool:
        return self._script.embeds

    def embed(
        self, texts: Sequence[str], *, truncate: bool = False
    ) -> tuple[list[list[float]], int]:
        if not truncate and any(len(self.tokenize(text)) > self._window for text in texts):
            raise ContextOverflow("The text is too long.")
        return [[1.0, 0.0] for _ in texts], sum(len(self.tokenize(text)) for text in texts)

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        self._write(text)
        say = on_text or (lambda _text, _code: None)
        self._aborted, self._said, self._ending, self._stop_sequence = False, 0, None, ""
        self._read = len(self.tokenize(text))
        if self._read >= self._window:
            return Status.WARNING_CONTEXT_EXCEEDED
        if on_progress is not None:
            on_progress(self._read, self._read)
        answer = next((said for part, said in self._script.says if part in text), "")
        found = min(((answer.find(s), s) for s in self._stops if s in answer), default=None)
        if found is not None:
            answer, self._stop_sequence = answer[: found[0]], found[1]
        status = self._speak(answer, say)
        self._cached = text + answer
        return status

    def _speak(self, answer: str, say: OnText) -> Status:
        size = self._script.piece
        self._ending = Ending.STOP if self._stop_sequence else Ending.EOS
        for start in range(0, len(answer), size):
            time.sleep(self._script.pause)
            if self._aborted or self._said == self._limit:
                self._ending = Ending.ABORT if self._aborted else Ending.LENGTH
                self._stop_sequence = ""
                break
            kind = SentenceCode.CONTINUE if self._said else SentenceCode.BEGIN
            self._said += 1
            say(answer[start : start + size], kind)
            if self._said == self._script.crash_after:
                os._exit(3)
        say("", SentenceCode.END)
        return Status.WARNING_ABORTED if self._aborted else Status.SUCCESS

    def _write(self, text: str) -> None:
        constraint = self._constraint and asdict(self._constraint)
        line = {
            "prompt": text,
            "sampler": asdict(self._sampler),
            "stop": list(self._stops),
            "max_tokens": self._limit,
            "constraint": constraint,
        }
        with self._heard.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def signal(self, action: Action) -> None:
        self._aborted = True

    def reset(self) -> None:
        self._cached = ""

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        self._stops = sequences

    def set_max_tokens(self, count: int | None) -> None:
        self._limit = count

    def set_sampler(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def restore(self, folder: Path, *, random: bool = True) -> None:
        raise NotImplementedError

    @property
    def context_occupancy(self) -> int:
        return len(self.tokenize(self._cached))

    def tokenize(self, text: str) -> list[int]:
        return list(range(-(-len(text) // 4)))

    def detokenize(self, tokens: Sequence[int]) -> str:
        return ""

    @property
    def ending(self) -> Ending | None:
        return self._ending

    @property
    def stop_sequence(self) -> str:
        return self._stop_sequence

    def profile(self) -> QueryProfile | None:
        return QueryProfile(self._read, 0, self._said, 1000, 1000 * max(self._said - 1, 0))

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Serve, with the played dialog in the model's place."""
    path = Path(sys.argv.pop(1))
    script = Script(**json.loads(path.read_text("utf-8")))

    def open_dialog(spec: ModelSpec) -> Dialog:
        return PlayedDialog(script, Path(f"{path}.heard"), spec)

    vars(loading)["open_dialog"] = open_dialog
    host.main()


if __name__ == "__main__":
    main()
