"""`GenieDialog`: the dialog contract over libGenie, with the ways round what a release does wrong (`rules`).

One query runs at a time. `signal` is for any thread and reaches the library only while a query runs, because an
idle one can stop the query after it (X8).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from npurun_tui.engine import checks
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    GenieError,
    OnProgress,
    OnText,
    Opening,
    QueryProfile,
    Sampler,
    SentenceCode,
    Start,
    Status,
)
from npurun_tui.engine.genie import figures, rules, snapshots
from npurun_tui.engine.genie.bundle import Bundle
from npurun_tui.engine.genie.gate import QueryGate
from npurun_tui.engine.genie.hearing import Hearing
from npurun_tui.engine.genie.library import Library
from npurun_tui.engine.genie.native import UNLIMITED, NativeDialog
from npurun_tui.engine.genie.processor import CPU, PROCESSORS
from npurun_tui.engine.genie.rewinding import Cached, choose
from npurun_tui.engine.genie.sampler import SamplerState, document

PREFILL_ONLY = (SentenceCode.BEGIN, SentenceCode.CONTINUE)


class GenieDialog(Dialog):
    """One bundle, loaded."""

    def __init__(self, bundle: Bundle, library: Library) -> None:
        """Load `bundle` (blocking: 5 to 35 seconds on the NPU).

        Raises:
            GenieError: Genie refused it; `detail` is what it wrote to stderr.
        """
        self._bundle = bundle
        self._library = library
        self._limits = rules.limits(library.version, bundle.backend)
        self._sampling = SamplerState()
        self._stops: tuple[str, ...] = ()
        self._max_tokens: int | None = None
        self._grammar = False
        self._native = NativeDialog(library, self._config())
        self._policy = self._native.policy()
        self._closed = False
        self._cached = Cached()
        self._profile: QueryProfile | None = None
        self._events = 0
        self._gate = QueryGate()

    # --- what the model is ---------------------------------------------------------------------

    @property
    def context_size(self) -> int:
        return self._bundle.window

    @property
    def place(self) -> str:
        return f"{PROCESSORS.get(self._bundle.backend, CPU)} (Genie {self._library.version_text})"

    @property
    def special_tokens(self) -> Sequence[str]:
        return self._bundle.vocabulary.special

    @property
    def chat_template(self) -> str:
        """The Jinja source of the model's own chat template; "" where it has none."""
        return self._bundle.vocabulary.template

    @property
    def bos_text(self) -> str:
        """The BOS token's text, for templates. Where Genie feeds BOS by itself the template must not write it too."""
        return "" if self._bundle.bos >= 0 else self._bundle.vocabulary.bos

    @property
    def eos_text(self) -> str:
        """The EOS token's text, for templates; "" where there is none."""
        return self._bundle.vocabulary.eos

    @property
    def native(self) -> NativeDialog:
        """The native dialog, for what the contract does not have (LoRA)."""
        return self._native

    # --- settings ------------------------------------------------------------------------------

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        self._check_open("GenieDialog_setStopSequence")
        checks.check_stop_sequences(sequences)
        self._stops = tuple(sequences)
        if self._native.open:
            self._native.set_stop_sequences(sequences)

    def set_max_tokens(self, count: int | None) -> None:
        self._check_open("GenieDialog_setMaxNumTokens")
        checks.check_max_tokens(count)
        self._max_tokens = count

    def set_sampler(self, settings: Sampler) -> None:
        self._check_open("GenieSampler_applyConfig")
        checks.check_sampler(settings)
        if self._sampling.change(settings, inert=self._limits.sampler_inert) and self._native.open:
            self._apply()

    def set_policy(self, policy: int) -> None:
        """Use Genie's performance policy `policy`, also after each reset, which would put it back (X10)."""
        self._native.call("setPerformancePolicy", policy)
        self._policy = policy

    def set_grammar(self, kind: str, file: str) -> None:
        """Hold answers to the grammar in `file`; `kind` is json-schema, regex or ebnf, "" removes it (API 1.21).

        Raises:
            GenieError: this release has no grammars, or refuses this one.
        """
        self._native.set_grammar(kind, file)
        self._grammar = bool(kind)

    def _apply(self) -> None:
        self._native.apply_sampler(document(self._sampling.block(self._bundle.tokens)))

    def _config(self) -> bytes:
        """The config for a native dialog with the settings of this moment."""
        return self._bundle.with_sampler(self._sampling.whole_block(self._bundle.tokens))

    # --- the conversation ----------------------------------------------------------------------

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        del on_progress  # Genie tells none
        with self._gate.query():
            self._profile = None
            self._check_open(checks.QUERY)
            held = self.context_occupancy
            checks.check_query(text, code, empty=not held)
            code = self._settled(code, held)
            held = 0 if code == SentenceCode.COMPLETE and not self.context_occupancy else held
            # A C string ends at NUL, and nothing else can stand for it.
            data = text.replace("\x00", "\ufffd").encode()
            prompt = self._prompt(text)
            return self._ask(data, code, prompt, held, on_text)

    def _ask(
        self,
        data: bytes,
        code: SentenceCode,
        prompt: list[int],
        held: int,
        on_text: OnText | None,
    ) -> Status:
        """Query, and take down what the cache holds and what the query cost."""
        needed = len(prompt) if code == SentenceCode.REWIND else held + len(prompt)
        if needed > self.context_size and self._bundle.window < self._bundle.size:
            return self._refuse(code, on_text)  # the library would take it, and break
        limit = self._limit(needed)
        self._native.call("setMaxNumTokens", UNLIMITED if limit is None else limit)
        hearing = self._hearing(on_text)
        status = self._run(data, code, hearing)
        if status == Status.WARNING_ABORTED and not hearing.count and not self._gate.aborted:
            # X8: a signal of long ago stopped it; nothing has happened yet.
            hearing = self._hearing(on_text)
            status = self._run(data, code, hearing)
        hearing.finish()
        if hearing.failure is not None:
            self._keep(code, prompt, hearing, limit)
            raise hearing.failure
        if status == Status.WARNING_CONTEXT_EXCEEDED and not hearing.count:
            self._check_full(needed)  # the cache is what it was
        else:
            self._keep(code, prompt, hearing, limit)
        if code not in PREFILL_ONLY or status == Status.SUCCESS:
            self._profile = self._figures(code, prompt, held, hearing)
        full = limit is not None and limit != self._wanted and hearing.count >= limit
        return Status.WARNING_CONTEXT_EXCEEDED if full else status

    def _hearing(self, on_text: OnText | None) -> Hearing:
        leaks = self._grammar and rules.GRAMMAR_LEAK.holds(self._library.version)
        leak = self._bundle.vocabulary.eos if leaks else ""
        return Hearing(self._library.ffi, on_text, self._abort, leak)

    def _run(self, data: bytes, code: SentenceCode, hearing: Hearing) -> Status:
        null = self._library.ffi.NULL
        try:
            with self._gate.running():
                return self._native.call("query", data, int(code), hearing.function, null)
        except GenieError as error:
            if hearing.failure is not None:
                return Status.WARNING_ABORTED
            hearing.finish()
            if error.status != Status.ERROR_INVALID_ARGUMENT:
                self._cached.broken = f"the last query failed ({error.status.value})"
            raise

    def _refuse(self, code: SentenceCode, on_text: OnText | None) -> Status:
        if on_text is not None and code not in PREFILL_ONLY:
            on_text("", SentenceCode.END)
        return Status.WARNING_CONTEXT_EXCEEDED

    @property
    def _wanted(self) -> int | None:
        return None if self._max_tokens is None else max(1, self._max_tokens)

    def _limit(self, needed: int) -> int | None:
        """Max tokens for a query that leaves the window with `needed` tokens before the answer."""
        if self._bundle.window == self._bundle.size:
            return self._wanted  # the library's own edge is the right one
        room = max(1, self.context_size - needed)
        return room if self._wanted is None else min(self._wanted, room)

    def _settled(self, code: SentenceCode, held: int) -> SentenceCode:
        """Have changed settings in force before a query of `code`; the code that it then must have.

        Some take effect only in an empty cache. A rewind names its whole prompt, so there it can be begun anew; what
        only appends goes on with the old random stream.
        """
        if held and code != SentenceCode.REWIND:
            if self._sampling.stale:
                raise GenieError(
                    Status.ERROR_APPLY_CONFIG_FAILED,
                    "GenieSampler_applyConfig",
                    "the repetition penalty can change only while the cache is empty.",
                )
            return code
        if self._sampling.stale:
            self.rebuild()
        elif self._sampling.reseed:
            self.reset()
        else:
            return code
        return SentenceCode.COMPLETE if code == SentenceCode.REWIND else code

    def _keep(
        self, code: SentenceCode, prompt: list[int], hearing: Hearing, limit: int | None
    ) -> None:
        cached = self._cached
        if code == SentenceCode.REWIND:
            cached.tokens = list(prompt)
        else:
            cached.settle(self._encode)
            cached.tokens += prompt
        cached.answer = hearing.text
        cached.cut = limit is not None and hearing.count >= limit

    def _check_full(self, needed: int) -> None:
        """Refuse a "context exceeded" for what fits (D2): begun anew it will be answered."""
        if needed < self.context_size:
            self._cached.broken = "the window was reported full too early"
            raise GenieError(Status.ERROR_QUERY_FAILED, checks.QUERY, f"{self._cached.broken}.")

    def _prompt(self, text: str) -> list[int]:
        bos = [self._bundle.bos] if self._bundle.bos >= 0 else []
        return bos + self._encode(text)

    def _encode(self, text: str) -> list[int]:
        data = text.replace("\x00", "\ufffd").encode()
        return self._native.encode(data) if data else []

    def signal(self, action: Action) -> None:
        self._check_open("GenieDialog_signal")
        if action != Action.ABORT:
            raise GenieError(
                Status.ERROR_INVALID_ARGUMENT, "GenieDialog_signal", "a basic dialog cannot pause."
            )
        self._abort()

    def _abort(self) -> None:
        self._gate.abort(lambda: self._native.raw("signal", int(Action.ABORT)))

    def opening(self, prompt: str) -> Start:
        self._check_open(checks.QUERY)
        if not self._native.open:
            return Start(Opening.REBUILD, "it could not be made anew before")
        held = self.context_occupancy
        cached = self._cached.settle(self._encode) if held else ()
        start = choose(self._prompt(prompt), cached, held, self._cached, self._limits)
        if start.how == Opening.REWIND and (self._sampling.stale or self._sampling.reseed):
            return Start(
                Opening.REBUILD if self._sampling.stale else Opening.RESET, "a setting changed"
            )
        return start

    @property
    def trusts_empty(self) -> bool:
        return False

    def reset(self) -> None:
        call = "GenieDialog_reset"
        self._check_open(call)
        self._sampling.draw_seed()
        if self._sampling.stale:
            self.rebuild()
            return
        if self._sampling.reseed:
            self._apply()
        self._native.call("reset")
        self._begin_anew()

    def rebuild(self) -> None:
        """Free the native dialog and make it anew. Where that fails there is none, and the next rebuild tries again."""
        self._check_open("GenieDialog_create")
        self._native.close()
        self._native = NativeDialog(self._library, self._config())
        self._events = 0
        self._native.set_stop_sequences(self._stops)
        self._grammar = False  # it was the old dialog's
        self._begin_anew()

    def _begin_anew(self) -> None:
        """The cache is empty and the random stream at its beginning."""
        self._sampling.settled()
        self._cached = Cached()
        if self._policy is not None:
            self._native.raw("setPerformancePolicy", self._policy)

    @property
    def context_occupancy(self) -> int:
        held = self._native.occupancy()
        return len(self._cached.settle(self._encode)) if held is None else held

    def tokenize(self, text: str) -> list[int]:
        call = "GenieTokenizer_encode"
        self._check_open(call)
        checks.check_encodable(text, call)
        return self._encode(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        self._check_open("GenieTokenizer_decode")
        checks.check_tokens(list(tokens), self._bundle.tokens)
        return self._native.decode(tokens) if tokens else ""

    # --- figures -------------------------------------------------------------------------------

    def profile(self) -> QueryProfile | None:
        self._check_open("GenieProfile_getJsonData")
        return self._profile

    def _figures(
        self, code: SentenceCode, prompt: list[int], held: int, hearing: Hearing
    ) -> QueryProfile | None:
        event = figures.last_query(self._native.profile())
        if event is None or event.number == self._events:
            return None
        self._events = event.number
        reused = len(prompt) - event.prompt_tokens if code == SentenceCode.REWIND else held
        return QueryProfile(
            prompt_tokens=event.prompt_tokens,
            cached_tokens=max(0, reused),
            # Ours: whether Genie counts the first token is not known.
            generated_tokens=hearing.count,
            ttft_us=event.ttft_us if hearing.count else 0,
            generation_us=event.generation_us,
        )

    # --- save, restore, close ------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        call = "GenieDialog_save"
        self._check_open(call)
        if not self.context_occupancy:
            raise GenieError(Status.ERROR_QUERY_FAILED, call, "the cache is empty.")
        key = snapshots.Key.of(self._bundle, self._library)
        with snapshots.new_folder(folder, call) as partial:
            self._native.call("save", str(partial).encode())
            snapshots.write(partial, key, self._cached.settle(self._encode))

    def restore(self, folder: Path) -> None:
        call = "GenieDialog_restore"
        self._check_open(call)
        tokens = snapshots.read(folder, snapshots.Key.of(self._bundle, self._library), call)
        self._native.call("restore", str(folder).encode())
        self._cached = Cached(tokens)

    def close(self) -> None:
        if not self._closed:
            self._abort()
            self._gate.wait()
            self._closed = True
            self._native.close()

    # --- guards --------------------------------------------------------------------------------

    def _check_open(self, call: str) -> None:
        if self._closed:
            raise GenieError(Status.ERROR_INVALID_HANDLE, call, "the model was unloaded.")
