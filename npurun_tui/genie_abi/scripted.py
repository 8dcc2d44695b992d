"""A dialog without a model, for tests: it says a prepared text and fails as it is told to.

`model-bin` names a JSON file: `{"text": "...", "context": 4096, "defects": [...]}`. The tokenizer cuts
words, each with the space before it; what is no word is one byte a token. A defect is `{"kind": ...}` with `"at"` (a
token's number, from 0, or a count of tokens) and `"on"` (query numbers from 1, since the file's counter began;
absent: every query). The counter lives in a file beside the script, so that it goes on over crashes.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from npurun_tui.engine import checks
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    GenieError,
    OnProgress,
    OnText,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)

EOS: Final = 256
WORDS: Final = 1 << 20
"""Ids of words begin behind the bytes and EOS; a word's id is made from the word, the same in every process."""
VOCABULARY: Final = 257 + WORDS

KINDS: Final = frozenset(
    {
        "crash",  # at token `at` the process ends by a signal
        "hang",  # at token `at` nothing comes any more, whatever is asked
        "wedge",  # at `at` tokens in the cache, and until the dialog is made anew, queries fail with -1
        "wedge-process",  # the same, until the process ends
        "poison",  # the query fails with -1, and so does every later one until the dialog is made anew
        "split",  # text is cut inside characters
        "empty",  # a query says nothing, with status 0
        "rewind",  # REWIND fails with -6
        "rewind-discard",  # REWIND that discards more than `at` tokens fails with -1
        "cut",  # REWIND after an answer that max tokens ended fails with -1
        "full",  # status 4 without a token, although there is room
        "create",  # the dialog cannot be made
    }
)

_PIECES: Final = re.compile(r" ?[A-Za-z]+")
_wedged = False
"""True for the rest of the process, as the NPU is after `wedge-process`."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to fail."""

    kind: str
    at: int = 0
    on: frozenset[int] | None = None

    @classmethod
    def read(cls, document: dict[str, Any]) -> Defect:
        """From a script. Raises ValueError for a kind that there is not."""
        if document["kind"] not in KINDS:
            raise ValueError(f"unknown defect {document['kind']!r}")
        on = document.get("on")
        return cls(
            document["kind"], int(document.get("at", 0)), None if on is None else frozenset(on)
        )


@dataclass(slots=True)
class Script:
    """What the file says."""

    file: Path
    text: str
    context: int
    defects: list[Defect] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> Script:
        """Raises OSError, ValueError, LookupError."""
        document = json.loads(file.read_text("utf-8"))
        return cls(
            file,
            str(document.get("text", "The quick brown fox jumps over the lazy dog.")),
            int(document.get("context", 4096)),
            [Defect.read(each) for each in document.get("defects", [])],
        )

    def again(self) -> Script:
        """The file as it stands now: a test changes it between two queries. Raises GenieError -1 where it is none."""
        try:
            return Script.read(self.file)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise _failed(Status.ERROR_GENERAL, f"the script is unreadable: {error}") from error

    def count(self) -> int:
        """The number of the query that begins: 1 for the first one ever."""
        counter = self.file.with_suffix(".count")
        try:
            number = int(counter.read_text("ascii")) + 1
        except (OSError, ValueError):
            number = 1
        counter.write_text(str(number), "ascii")
        return number


class ScriptedDialog(Dialog):
    """Says its script's text to every prompt, with the cache, the limits and the figures of a real one."""

    def __init__(self, script: Script) -> None:
        """Raises GenieError where the script says that it cannot be made."""
        self._script = script
        self._words: dict[int, str] = {}
        self._cache: list[int] = []
        self._pending: int | None = None
        self._queries = 0
        self._max: int | None = None
        self._profile: QueryProfile | None = None
        self._aborted = threading.Event()
        self._broken = self._cut = False
        if _wedged or any(defect.kind == "create" for defect in script.defects):
            raise GenieError(
                Status.ERROR_GENERAL, "GenieDialog_create", "Failed to create device: 14001"
            )

    @property
    def context_size(self) -> int:
        return self._script.context

    @property
    def place(self) -> str:
        return "CPU (scripted)"

    @property
    def special_tokens(self) -> Sequence[str]:
        return ()

    # --- tokens --------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        tokens: list[int] = []
        at = 0
        for match in _PIECES.finditer(text):
            tokens += text[at : match.start()].encode()
            tokens.append(self._word(match[0]))
            at = match.end()
        return tokens + list(text[at:].encode())

    def _word(self, word: str) -> int:
        import zlib

        token = 257 + zlib.crc32(word.encode()) % WORDS
        while self._words.setdefault(token, word) != word:
            token = 257 + (token - 256) % WORDS
        return token

    def detokenize(self, tokens: Sequence[int]) -> str:
        return b"".join(self._bytes(token) for token in tokens).decode("utf-8", "replace")

    def _bytes(self, token: int) -> bytes:
        return bytes([token]) if token < EOS else self._words.get(token, "").encode()

    # --- queries -------------------------------------------------------------------------------

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        del on_progress
        try:
            return self._query(text, code, on_text or (lambda _text, _code: None))
        finally:
            self._aborted.clear()  # not before: a signal may come as soon as the query is known to run

    def _query(self, text: str, code: SentenceCode, say: OnText) -> Status:
        began = time.perf_counter()
        self._profile = None
        checks.check_query(text, code, empty=not self._cache)
        self._script = self._script.again()
        faults = self._due(self._script.count())
        self._fail_before(faults, code, text)
        kept = self._place_prompt(text, code)
        if kept is None or "full" in faults:
            say("", SentenceCode.END)
            return Status.WARNING_CONTEXT_EXCEEDED
        prefilled = len(self._cache) - kept
        if code in (SentenceCode.BEGIN, SentenceCode.CONTINUE):
            return Status.SUCCESS
        first = time.perf_counter()
        status, count = self._answer(say, faults)
        if status is not Status.WARNING_CONTEXT_EXCEEDED:
            took = int((time.perf_counter() - first) * 1e6)
            ttft = max(1, int((first - began) * 1e6))
            self._profile = QueryProfile(prefilled, kept, count, ttft, took)
        say("", SentenceCode.END)
        return status

    def _due(self, number: int) -> dict[str, Defect]:
        return {
            defect.kind: defect
            for defect in self._script.defects
            if defect.on is None or number in defect.on
        }

    def _fail_before(self, faults: dict[str, Defect], code: SentenceCode, text: str) -> None:
        global _wedged  # noqa: PLW0603 - a wedged NPU is the process's, not a dialog's
        rewind = code == SentenceCode.REWIND
        held = len(self._cache)
        if "wedge-process" in faults and held >= faults["wedge-process"].at:
            _wedged = True
        if "poison" in faults or ("wedge" in faults and held >= faults["wedge"].at):
            self._broken = True
        if self._broken or _wedged:
            raise _failed(Status.ERROR_GENERAL, "batch dispatch failed")
        if rewind and "rewind" in faults:
            raise _failed(Status.ERROR_QUERY_FAILED, "the cache cannot be rewound")
        if rewind and "cut" in faults and self._cut:
            raise _failed(Status.ERROR_GENERAL, "the last answer was cut")
        if rewind and "rewind-discard" in faults:
            discarded = held - _shared(self.tokenize(text), self._cache)
            if discarded > faults["rewind-discard"].at:
                self._broken = True
                raise _failed(Status.ERROR_GENERAL, "too much to discard")

    def _place_prompt(self, text: str, code: SentenceCode) -> int | None:
        """Put the prompt into the cache; how many of its tokens were there, None where it does not fit."""
        new = self.tokenize(text)
        if code == SentenceCode.REWIND:
            kept = _shared(new, self._cache)
            after = new
        else:
            kept = len(self._cache)
            between: list[int] = []
            if code in (SentenceCode.COMPLETE, SentenceCode.BEGIN):
                between = [] if self._pending is None else [self._pending]
                between += [EOS] if self._queries else []
            after = self._cache + between + new
        if len(after) > self.context_size:
            return None
        self._cache, self._pending = after, None
        self._queries = 1 if code == SentenceCode.REWIND else self._queries + 1
        return kept

    def _answer(self, say: OnText, faults: dict[str, Defect]) -> tuple[Status, int]:
        """Say the text; `(status, tokens)`."""
        if "empty" in faults:
            return Status.SUCCESS, 0
        limit = None if self._max is None else max(1, self._max)
        self._cut = False
        count = 0
        split, whole = "split" in faults, codecs.getincrementaldecoder("utf-8")("replace")
        for token in self.tokenize(self._script.text):
            _fail_at(count, faults)
            if self._aborted.is_set():
                return Status.WARNING_ABORTED, count
            if self._pending is not None:
                if len(self._cache) >= self.context_size:
                    return Status.WARNING_CONTEXT_EXCEEDED, count
                self._cache.append(self._pending)
            self._pending = token
            count += 1
            data = self._bytes(token)
            # A lone byte crosses as a surrogate, which the library turns back into the byte.
            text = data.decode("utf-8", "surrogateescape") if split else whole.decode(data)
            say(text, SentenceCode.CONTINUE if count > 1 else SentenceCode.BEGIN)
            if count == limit:
                self._cut = True
                return Status.SUCCESS, count
        if self._pending is not None and len(self._cache) < self.context_size:
            self._cache.append(self._pending)
        self._pending = None
        return Status.WARNING_ABORTED if self._aborted.is_set() else Status.SUCCESS, count

    def signal(self, action: Action) -> None:
        if action != Action.ABORT:
            raise GenieError(Status.ERROR_INVALID_ARGUMENT, "GenieDialog_signal", "it cannot pause")
        self._aborted.set()

    # --- the rest of the contract --------------------------------------------------------------

    def reset(self) -> None:
        self._cache, self._pending, self._queries, self._cut = [], None, 0, False

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        """It says everything."""

    def set_max_tokens(self, count: int | None) -> None:
        self._max = count

    def set_sampler(self, sampler: Sampler) -> None:
        """It has no choice."""

    def save(self, folder: Path) -> None:
        if not self._cache:
            raise _failed(Status.ERROR_QUERY_FAILED, "the cache is empty")
        folder.mkdir(parents=True)
        (folder / "dialog.json").write_text(
            json.dumps({"n-past": len(self._cache), "cache": self._cache})
        )

    def restore(self, folder: Path, *, random: bool = True) -> None:
        del random  # it has no random stream
        try:
            document = json.loads((folder / "dialog.json").read_text("utf-8"))
            self._cache = [int(token) for token in document["cache"]]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise _failed(Status.ERROR_QUERY_FAILED, f"no snapshot: {error}") from error

    @property
    def context_occupancy(self) -> int:
        return len(self._cache)

    def profile(self) -> QueryProfile | None:
        return self._profile

    def close(self) -> None:
        """Nothing is open."""


def _fail_at(count: int, faults: dict[str, Defect]) -> None:
    """Crash or hang, where that is due at the token `count`."""
    if (crash := faults.get("crash")) and crash.at == count:
        os.kill(
            os.getpid(),
            getattr(signal, "SIGKILL", signal.SIGTERM) if crash.at % 2 else signal.SIGABRT,
        )
    if (hang := faults.get("hang")) and hang.at == count:
        while True:
            threading.Event().wait()  # for ever, whatever is signalled


def _failed(status: Status, words: str) -> GenieError:
    return GenieError(status, checks.QUERY, words)


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    limit = min(len(first), len(second))
    return next((i for i in range(limit) if first[i] != second[i]), limit)
