"""`GenieDialog`: the dialog contract over libGenie, with the ways round what a release does wrong (`rules`).

One query runs at a time. `signal` is for any thread and reaches the library only while a query runs, because an
idle one can stop the query after it (X8).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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
from npurun_tui.engine.genie import figures, grammar, rules, snapshots
from npurun_tui.engine.genie.bundle import Bundle
from npurun_tui.engine.genie.gate import QueryGate
from npurun_tui.engine.genie.hearing import Hearing
from npurun_tui.engine.genie.library import Library
from npurun_tui.engine.genie.native import UNLIMITED, NativeDialog
from npurun_tui.engine.genie.processor import CPU, PROCESSORS
from npurun_tui.engine.genie.rewinding import Cached, choose
from npurun_tui.engine.genie.sampler import SamplerState, document
from npurun_tui.engine.messages import Constraint

log = logging.getLogger(__name__)

PREFILL_ONLY = (SentenceCode.BEGIN, SentenceCode.CONTINUE)
APPENDS_MORE = (SentenceCode.COMPLETE, SentenceCode.BEGIN)
LARGE_PROFILE = 1 << 20
"""Bytes: a profile only grows (X9), and it is read whole after each query."""


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
        self._grammar = grammar.NONE
        self._constraint: Constraint | None = None
        self._lora = ""
        self._native = self._make()
        self._policy = self._native.policy()
        self._closed = False
        self._cached = Cached()
        self._profile: QueryProfile | None = None
        self._events = self._profile_size = 0
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
        self._tell(lambda: self._native.set_stop_sequences(sequences))

    def set_max_tokens(self, count: int | None) -> None:
        self._check_open("GenieDialog_setMaxNumTokens")
        checks.check_max_tokens(count)
        self._max_tokens = count

    def set_sampler(self, settings: Sampler) -> None:
        self._check_open("GenieSampler_applyConfig")
        checks.check_sampler(settings)
        if self._sampling.change(settings, inert=self._limits.sampler_inert):
            self._tell(self._apply)

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
        self._grammar = (kind, file)

    @property
    def constrains(self) -> bool:
        return self._library.has("GenieDialog_setGrammar")

    def set_constraint(self, constraint: Constraint | None) -> None:
        self._check_open("GenieDialog_setGrammar")
        checks.check_constraint(constraint)
        if constraint == self._constraint:
            return
        before = self._grammar[1] if self._constraint is not None else ""
        kind, file = grammar.NONE if constraint is None else grammar.write(constraint)
        try:
            self.set_grammar(kind, file)
        except GenieError:
            grammar.remove(file)
            raise
        self._constraint = constraint
        grammar.remove(before)

    def apply_lora(self, adapter: str) -> None:
        """Use the LoRA adapter `adapter` of the bundle, also in a dialog that is made anew."""
        self._native.apply_lora(adapter)
        self._lora = adapter

    def _tell(self, setting: Callable[[], None]) -> None:
        """Have the native dialog take a setting; one that does not is made anew before the next query that can bear
        it."""
        try:
            if self._native.open:
                setting()
        except GenieError as error:
            log.warning("a setting was not taken: %s", error)
            self._sampling.stale = True

    def _apply(self) -> None:
        self._native.apply_sampler(document(self._sampling.block(self._bundle.tokens)))

    def _make(self) -> NativeDialog:
        """A native dialog with the settings of this moment."""
        tokens = self._bundle.tokens
        config = self._bundle.with_sampler(self._sampling.whole_block(tokens))
        native = NativeDialog(self._library, config)
        if self._sampling.greedy:
            native.apply_sampler(document(self._sampling.block(tokens)))
        return native

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
            text = text if code in (SentenceCode.CONTINUE, SentenceCode.END) else self._own(text)
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
        if held and code in APPENDS_MORE:
            needed += 2  # the last sampled token and EOS come before the text
        if needed > self.context_size and self._bundle.window < self._bundle.size:
            return self._refuse(code, on_text)  # the library would take it, and break
        limit = self._limit(needed)
        self._native.call("setMaxNumTokens", UNLIMITED if limit is None else limit)
        hearing = self._hearing(on_text)
        status = self._run(data, code, hearing)
        stray = status == Status.WARNING_ABORTED and not hearing.count and not self._gate.aborted
        if stray and self.context_occupancy == held:
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
        leaks = self._grammar[0] and rules.GRAMMAR_LEAK.holds(self._library.version)
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
        cached.prompt_end = len(cached.tokens)
        cached.restored = cached.restored and code != SentenceCode.REWIND
        cached.answer = hearing.text
        cached.cut = limit is not None and hearing.count >= limit

    def _check_full(self, needed: int) -> None:
        """Refuse a "context exceeded" for what fits (D2): begun anew it will be answered."""
        if needed + 2 < self.context_size:
            self._cached.broken = "the window was reported full too early"
            raise GenieError(Status.ERROR_QUERY_FAILED, checks.QUERY, f"{self._cached.broken}.")

    def _own(self, text: str) -> str:
        """`text` without the BOS that Genie puts before it by itself: many templates, the Rust program's for Llama 3
        among them, begin with it, and a model that reads it twice answers worse."""
        bos = self._bundle.vocabulary.texts.get(self._bundle.bos, "")
        return text.removeprefix(bos) or text

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
        if self._cached.broken:
            return Start(Opening.REBUILD, self._cached.broken)
        try:
            held = self.context_occupancy
            cached = self._cached.settle(self._encode) if held else ()
            start = choose(
                self._prompt(self._own(prompt)), cached, held, self._cached, self._limits
            )
        except GenieError as error:
            return Start(
                Opening.REBUILD, f"it could not be asked for its state ({error.status.value})"
            )
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
        self._sampling.draw_seed(inert=self._limits.sampler_inert)
        if self._sampling.stale or self._profile_size > LARGE_PROFILE:
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
        self._native = self._make()
        self._events = self._profile_size = 0
        self._native.set_stop_sequences(self._stops)
        if self._grammar[0]:
            self._native.set_grammar(*self._grammar)
        if self._lora:
            self._native.apply_lora(self._lora)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """The cache is empty and the random stream at its beginning."""
        self._sampling.settled()
        self._cached = Cached()
        if self._policy is not None:
            self._native.raw("setPerformancePolicy", self._policy)

    @property
    def context_occupancy(self) -> int:
        try:
            held = self._native.occupancy()
        except GenieError as error:
            if not self._native.open:
                raise
            log.warning("the occupancy is not told: %s", error)
            held = None
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
        try:
            data = self._native.profile()
        except GenieError as error:
            log.warning("there are no figures: %s", error)
            return None
        self._profile_size = len(data)
        event = figures.last_query(data)
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
        self._check_snapshots(call)
        key = snapshots.Key.of(self._bundle, self._library)
        with snapshots.new_folder(folder, call) as partial:
            self._native.call("save", str(partial).encode())
            snapshots.write(partial, key, self._cached.settle(self._encode))

    def restore(self, folder: Path, *, random: bool = True) -> None:
        call = "GenieDialog_restore"
        self._check_open(call)
        if not random:  # the snapshot has the sampler's state in it, and Genie reads all of it
            text = "Genie cannot leave the random stream as it is."
            raise GenieError(Status.ERROR_INVALID_ARGUMENT, call, text)
        self._check_snapshots(call)
        tokens = snapshots.read(folder, snapshots.Key.of(self._bundle, self._library), call)
        try:
            self._native.call("restore", str(folder).encode())
        except GenieError:
            self._cached.broken = "a snapshot could not be restored"
            raise
        self._cached = Cached(tokens, restored=True)

    def _check_snapshots(self, call: str) -> None:
        if self._bundle.sliding and rules.SLIDING_SNAPSHOT.holds(self._library.version):
            raise GenieError(Status.ERROR_GENERAL, call, f"{rules.SLIDING_SNAPSHOT.title}")

    def close(self) -> None:
        if not self._closed:
            self._abort()
            self._gate.wait()
            self._closed = True
            self._native.close()
            if self._constraint is not None:
                grammar.remove(self._grammar[1])

    # --- guards --------------------------------------------------------------------------------

    def _check_open(self, call: str) -> None:
        if self._closed:
            raise GenieError(Status.ERROR_INVALID_HANDLE, call, "the model was unloaded.")
