"""The dialog contract: what every engine does, in the terms of Qualcomm's Genie dialog.

Numbers and names are Genie's (C API 1.11 to 1.21). Implementations run in the engine's child process and are
synchronous: `query` blocks and calls back for each token. `tests/conformance/` states this contract as tests and
runs them over every implementation.

KV cache rules:

* `COMPLETE` appends to what the cache holds; nothing is ever reset implicitly.
* `REWIND` keeps the longest common token prefix of the new prompt and the cache, and prefills the rest. On an empty
  cache it fails with -6.
* The last sampled token is not in the cache until a later query feeds it back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

from npurun_tui.engine.messages import Constraint
from npurun_tui.errors import EngineError


class SentenceCode(IntEnum):
    """What a query's text is, and what a callback's text is (GenieDialog_SentenceCode_t)."""

    COMPLETE = 0
    BEGIN = 1
    CONTINUE = 2
    END = 3
    ABORT = 4
    REWIND = 5
    RESUME = 6


class Action(IntEnum):
    """What another thread may ask of a running query (GenieDialog_Action_t)."""

    ABORT = 1
    PAUSE = 2


class Status(IntEnum):
    """Genie_Status_t. Positive values are warnings: the text that arrived is valid."""

    SUCCESS = 0
    WARNING_ABORTED = 1
    WARNING_BOUND_HANDLE = 2
    WARNING_PAUSED = 3
    WARNING_CONTEXT_EXCEEDED = 4
    ERROR_GENERAL = -1
    ERROR_INVALID_ARGUMENT = -2
    ERROR_MEM_ALLOC = -3
    ERROR_INVALID_CONFIG = -4
    ERROR_INVALID_HANDLE = -5
    ERROR_QUERY_FAILED = -6
    ERROR_JSON_FORMAT = -7
    ERROR_JSON_SCHEMA = -8
    ERROR_JSON_VALUE = -9
    ERROR_GENERATE_FAILED = -10
    ERROR_GET_HANDLE_FAILED = -11
    ERROR_APPLY_CONFIG_FAILED = -12
    ERROR_SET_PARAMS_FAILED = -13
    ERROR_BOUND_HANDLE = -14


class Ending(StrEnum):
    """What ended a query's generation."""

    EOS = "eos"
    """The model's end-of-sequence token."""
    STOP = "stop"
    """A stop sequence, also where the last allowed token completed it."""
    LENGTH = "length"
    """Max tokens."""
    WINDOW = "window"
    """The context window is full; the status is WARNING_CONTEXT_EXCEEDED."""
    ABORT = "abort"
    """`signal(ABORT)`; the status is WARNING_ABORTED."""


class Opening(StrEnum):
    """How a turn that has its whole prompt begins."""

    APPEND = "append"
    """COMPLETE: the cache is empty."""
    REWIND = "rewind"
    RESET = "reset"
    """Reset, then COMPLETE."""
    REBUILD = "rebuild"
    """Free the native dialog and make it anew, then COMPLETE."""


@dataclass(frozen=True, slots=True)
class Start:
    """How to begin, and why not with what the cache holds; `why` is empty where that is used, or is empty."""

    how: Opening
    why: str = ""


class GenieError(EngineError):
    """A call that returned a negative status.

    `call` is the function's name in Genie's API (`GenieDialog_query`); `detail` is what the library wrote to stderr,
    or the engine's own words.
    """

    def __init__(self, status: Status, call: str, detail: str = "") -> None:
        text = f"{call} failed with {status.value} ({status.name.removeprefix('ERROR_')})"
        super().__init__(f"{text}: {detail}" if detail else f"{text}.")
        self.status = status
        self.call = call
        self.detail = detail


OnText = Callable[[str, SentenceCode], None]
"""Called for each generated token, on the thread that runs `query`.

`(text, BEGIN)` for the first token, `(text, CONTINUE)` for each further one, then exactly one terminal call:
`("", END)`, or `("", ABORT)` where the engine failed. The calls before the terminal one are as many as the generated
tokens. `text` may be empty while a stop sequence or half of a UTF-8 sequence is held back; while text is held back for
a stop sequence, the call for its token may wait for the next token or the end, so that the last token's call can bring
what turned out to be none. It is never split inside a UTF-8 sequence.
"""

OnProgress = Callable[[int, int], None]
"""Prefill progress `(tokens done, tokens in all)`, of the tokens that are not in the cache yet; an engine that cannot
tell never calls it. `done` never falls or passes `tokens in all`, and reaches it where the prefill is not aborted."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampler settings; all of them are set together, as Genie's `applyConfig` needs.

    `seed` None is a random one. The random stream restarts from the seed at `reset`; a query does not restart it.
    `top_k` 1 is greedy (as is `temperature` 0); `top_k` 0 and `top_p` 1 switch these filters off.
    `repetition_penalty` 1 is none; it looks at the last `penalize_last_n` tokens, as do `presence_penalty` (taken from
    the logits of what is there) and `frequency_penalty` (taken for each time that it is there), of which 0 is none.
    `min_p` drops what is less probable than that part of the most probable token; 0 is off. An engine whose sampler
    lacks one of these three, as Genie's does, goes on without it.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    seed: int | None = None
    repetition_penalty: float = 1.0
    penalize_last_n: int = 64
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class QueryProfile:
    """The engine's own figures of one query (GenieProfile, GenieDialog_query).

    Token counts are the tokenizer's. Times are microseconds on the engine's clock.
    """

    prompt_tokens: int
    """Tokens that this query prefilled (after REWIND: the suffix only; after an abort: those that were done)."""
    cached_tokens: int
    """Tokens of the prompt that the cache already held."""
    generated_tokens: int
    ttft_us: int
    """From the call to the first generated token; 0 where there was none."""
    generation_us: int
    """From the first generated token to the last."""

    @property
    def prefill_tps(self) -> float:
        """Prefilled tokens per second of the time to the first token; 0 where nothing was timed."""
        return self.prompt_tokens * 1e6 / self.ttft_us if self.ttft_us else 0.0

    @property
    def decode_tps(self) -> float:
        """Tokens after the first per second of the time after the first; 0 below two tokens."""
        after_first = self.generated_tokens - 1
        return (
            after_first * 1e6 / self.generation_us
            if after_first > 0 and self.generation_us
            else 0.0
        )


class Dialog(ABC):
    """One model's conversation state. Not thread-safe except for `signal`."""

    @property
    @abstractmethod
    def context_size(self) -> int:
        """The context window in tokens: prompt and output together."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it runs, in words for people, the runtime included: `CPU (llama.cpp)`, `NPU (Genie 1.21.0)`. True of
        this very dialog, not of what it was hoped to be."""

    @property
    @abstractmethod
    def special_tokens(self) -> Sequence[str]:
        """Texts that the tokenizer turns into one control token each (`<|im_end|>`)."""

    @abstractmethod
    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        """Feed `text` and, for COMPLETE, END and REWIND, generate.

        BEGIN and CONTINUE only prefill and call nothing back. Returns SUCCESS (end of sequence, stop sequence or max
        tokens), WARNING_ABORTED after `signal(ABORT)`, or WARNING_CONTEXT_EXCEEDED when the window is full (nothing
        is generated where the prompt alone does not fit). An exception from a callback ends the query and is raised.

        Raises:
            GenieError: -2 for an empty COMPLETE or REWIND text or a code that is not a query's, -6 for REWIND on an
                empty cache, other negatives as the engine gives them.
        """

    def opening(self, prompt: str) -> Start:
        """How a turn whose whole prompt is `prompt` should begin, by what this engine is known to bear."""
        del prompt
        return Start(Opening.REWIND if self.context_occupancy else Opening.APPEND)

    @property
    def trusts_empty(self) -> bool:
        """True where a rewound query without a token means that there was nothing to say; False where it may as well
        mean that the rewind failed."""
        return True

    def rebuild(self) -> None:
        """Be as after `reset`, by the surest way that the engine has short of a new process. Settings stay.

        Raises:
            GenieError: it cannot be done in this process.
        """
        self.reset()

    @abstractmethod
    def signal(self, action: Action) -> None:
        """From any thread: stop the running query, whatever its code, within one token; in a prefill as soon as the
        engine can, with one token at most. Without a running query it does nothing.

        Raises:
            GenieError: -2 for PAUSE, where the engine cannot pause; the query then goes on.
        """

    @abstractmethod
    def reset(self) -> None:
        """Empty the cache and restart the random stream. Stop sequences, max tokens and sampler stay."""

    @abstractmethod
    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        """End generation where one of `sequences` appears; it is never emitted, also when split over tokens."""

    @abstractmethod
    def set_max_tokens(self, count: int | None) -> None:
        """At most `count` generated tokens for each query (0 behaves as 1); None: up to the context window."""

    @abstractmethod
    def set_sampler(self, sampler: Sampler) -> None:
        """Use `sampler` from the next query on. A changed seed restarts the random stream."""

    @property
    def constrains(self) -> bool:
        """True where `set_constraint` can be used."""
        return False

    def set_constraint(self, constraint: Constraint | None) -> None:
        """Hold the answers of the queries that follow to `constraint`; None frees them.

        Raises:
            GenieError: -1 where this engine cannot, -8 for a schema or a grammar that it does not take, which it may
                also say only when the next query begins.
        """
        if constraint is not None:
            text = "this engine cannot hold an answer to a grammar."
            raise GenieError(Status.ERROR_GENERAL, "GenieDialog_setGrammar", text)

    @property
    def embeds(self) -> bool:
        """True where the model makes embeddings; it then gives no answers."""
        return False

    def embed(
        self, texts: Sequence[str], *, truncate: bool = False
    ) -> tuple[list[list[float]], int]:
        """`(a vector of unit length for each of texts, tokens read in all)`.

        Raises:
            ContextOverflow: a text is longer than the window, and `truncate` does not say to cut it.
            GenieError: -1 where the model makes none, -2 for a text without a token.
        """
        del texts, truncate
        text = "this model makes no embeddings."
        raise GenieError(Status.ERROR_GENERAL, "GenieEmbedding_generate", text)

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the cache into the new folder `folder`, with `dialog.json` in it. Raises GenieError -6 when empty."""

    @abstractmethod
    def restore(self, folder: Path, *, random: bool = True) -> None:
        """Bring back what `save` wrote for the same model, the place in the random stream included.

        Settings stay as they are; with `random` False the random stream does too, where `rewinds_restored` is true.
        Raises GenieError -6 where it is missing or foreign.
        """

    @property
    def rewinds_restored(self) -> bool:
        """True where REWIND after `restore` is known to compare each token, as it does in a cache that was never away.

        Only then may a snapshot be chosen by a guess of what it shares with a prompt: where the guess is wrong, REWIND
        finds it out.
        """
        return False

    @property
    @abstractmethod
    def context_occupancy(self) -> int:
        """Tokens in the cache; 0 after reset."""

    @abstractmethod
    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens in it are parsed, none is added. Empty text gives an empty list."""

    @abstractmethod
    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special ones included; incomplete UTF-8 becomes U+FFFD."""

    @abstractmethod
    def profile(self) -> QueryProfile | None:
        """Figures of the last query, never of one before it. None where there are none for it.

        There are some for each query that ended with status 0, or 1 after a token; an engine may have them for status
        4 and for an aborted prefill too.
        """

    @property
    def ending(self) -> Ending | None:
        """How the last query's generation ended; None where nothing ended one or the engine cannot tell.

        Genie cannot: who needs to know then counts tokens, and takes a stop sequence in the last one for the limit.
        """
        return None

    @property
    def stop_sequence(self) -> str:
        """Which stop sequence ended the last query; "" where none did or the engine cannot tell."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Free the model. Further calls raise GenieError -5, except `close` itself."""
