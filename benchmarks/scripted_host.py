"""An engine process that says a prepared text at a prepared rate, over the real pipe and the real host.

    python -m benchmarks.scripted_host RATE PREPARED.json LOGFILE

Only the dialog is not a model: what is measured is everything between a token and the screen. The prepared file holds
`{"at_once": text, "paced": text, "end": text}`: the first part comes as one token, the second four characters
a token at RATE tokens a second, the third as one token after it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from npurun_tui.engine import host, loading
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    OnProgress,
    OnText,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)
from npurun_tui.engine.spec import ModelSpec

CHARACTERS = 4


class ScriptedDialog(Dialog):
    """Says the same text to every question."""

    def __init__(self, rate: float, prepared: dict[str, str]) -> None:
        self._rate = rate
        self._prepared = prepared
        self._stopped = False
        self._said = 0

    @property
    def context_size(self) -> int:
        return 65536

    @property
    def place(self) -> str:
        return "CPU (scripted)"

    @property
    def special_tokens(self) -> Sequence[str]:
        return ()

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        say = on_text or (lambda _text, _code: None)
        self._stopped = False
        say(self._prepared["at_once"], SentenceCode.BEGIN)
        paced, began = self._prepared["paced"], time.perf_counter()
        for number, start in enumerate(range(0, len(paced), CHARACTERS)):
            time.sleep(max(0.0, began + number / self._rate - time.perf_counter()))
            if self._stopped:
                break
            say(paced[start : start + CHARACTERS], SentenceCode.CONTINUE)
            self._said = number
        say(self._prepared["end"], SentenceCode.CONTINUE)
        say("", SentenceCode.END)
        return Status.WARNING_ABORTED if self._stopped else Status.SUCCESS

    def signal(self, action: Action) -> None:
        self._stopped = True

    def reset(self) -> None:
        self._said = 0

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        """It never stops."""

    def set_max_tokens(self, count: int | None) -> None:
        """It says everything."""

    def set_sampler(self, sampler: Sampler) -> None:
        """It has no choice."""

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def restore(self, folder: Path, *, random: bool = True) -> None:
        raise NotImplementedError

    @property
    def context_occupancy(self) -> int:
        return self._said

    def tokenize(self, text: str) -> list[int]:
        return list(range(len(text) // CHARACTERS))

    def detokenize(self, tokens: Sequence[int]) -> str:
        return ""

    def profile(self) -> QueryProfile | None:
        return QueryProfile(10, 0, self._said, 1000, int(self._said / self._rate * 1e6))

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Serve, with the scripted dialog in the model's place."""
    rate, prepared = float(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8"))
    del sys.argv[1:3]

    def open_dialog(_spec: ModelSpec) -> Dialog:
        return ScriptedDialog(rate, prepared)

    vars(loading)["open_dialog"] = open_dialog
    host.main()


if __name__ == "__main__":
    main()
