"""`CpuDialog`: Genie's dialog over llama.cpp, token for token.

The dialog keeps its own record of the tokens in the cache and sends all of a prompt's tokens with each request;
llama.cpp prefills what differs from what it holds. So the record alone decides what the conversation is, and whatever
an abort left behind in llama.cpp's cache cannot leak into it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from npurun_tui.engine import checks
from npurun_tui.engine.cpu import sampling, snapshot
from npurun_tui.engine.cpu.constraining import ConstraintRefused, Constraints
from npurun_tui.engine.cpu.gguf import GgufInfo, header_digest, read_gguf
from npurun_tui.engine.cpu.planning import Conversation, Planner
from npurun_tui.engine.cpu.query import Outcome, Query, QueryRunner, Settings
from npurun_tui.engine.cpu.record import CacheRecord
from npurun_tui.engine.cpu.server import LlamaServer, runtime_version
from npurun_tui.engine.cpu.stream import CompletionStream, ServerFailure
from npurun_tui.engine.cpu.threads import choose_threads
from npurun_tui.engine.dialog import (
    Action,
    Dialog,
    Ending,
    GenieError,
    OnProgress,
    OnText,
    QueryProfile,
    Sampler,
    SentenceCode,
    Status,
)
from npurun_tui.engine.messages import Constraint
from npurun_tui.engine.spec import BACKEND_LABELS, ModelSpec
from npurun_tui.errors import EngineLoadFailed
from npurun_tui.text import one_line

LARGEST_DEFAULT_CONTEXT: Final = 8192
"""Without a wish the window is the trained one up to this: the KV cache is allocated whole when the model is loaded,
and the 128k tokens that many models are trained for would take gigabytes that a chat on a CPU never fills."""


class CpuDialog(Dialog):
    """One GGUF model, loaded."""

    def __init__(self, spec: ModelSpec) -> None:
        """Load the model of `spec` (blocking).

        Raises:
            ModelFileDamaged: the GGUF file is truncated or not one.
            EngineUnavailable: there is no llama.cpp for this machine.
            EngineLoadFailed: llama.cpp refused the model.
        """
        if spec.model_file is None:
            raise EngineLoadFailed(f"The manifest of {one_line(spec.name)} names no GGUF file.")
        self._file = spec.model_file
        self._info = read_info(spec.model_file)
        trained = self._info.context_length or LARGEST_DEFAULT_CONTEXT
        self._context = spec.context or min(trained, LARGEST_DEFAULT_CONTEXT)
        threads = choose_threads(spec.threads)
        server = LlamaServer(spec.model_file, context=self._context, threads=threads)
        self._loaded: LlamaServer | None = server
        self._settings = Settings()
        self._conversation = Conversation(sampling.RandomStream(None))
        self._constraints = Constraints(server.tokenize)
        self._outcome = Outcome()
        self._runner = QueryRunner(
            Planner(server.tokenize, self._info),
            self._conversation,
            self._settings,
            self._constraints,
            context=self._context,
            end_tokens=self._info.end_tokens,
            on_end=self._set_outcome,
        )
        self._snapshots = snapshot.Snapshots()
        self._lock = threading.Lock()
        self._running: tuple[CompletionStream, ...] = ()

    # --- what the model is ---------------------------------------------------------------------

    @property
    def context_size(self) -> int:
        return self._context

    @property
    def place(self) -> str:
        return BACKEND_LABELS["llama.cpp"]

    @property
    def special_tokens(self) -> Sequence[str]:
        return tuple(self._info.control_tokens)

    @property
    def chat_template(self) -> str:
        """The Jinja source of the model's own chat template; "" where it has none."""
        return self._info.chat_template

    @property
    def bos_text(self) -> str:
        """The BOS token's text, for templates; "" where there is none."""
        return self._info.bos_text

    @property
    def eos_text(self) -> str:
        """The EOS token's text, for templates; "" where there is none."""
        return self._info.eos_text

    # --- settings ------------------------------------------------------------------------------

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        self._server("GenieDialog_setStopSequence")
        checks.check_stop_sequences(sequences)
        self._settings.stops = tuple(sequences)

    def set_max_tokens(self, count: int | None) -> None:
        self._server("GenieDialog_setMaxNumTokens")
        checks.check_max_tokens(count)
        self._settings.max_tokens = count

    def set_sampler(self, sampler: Sampler) -> None:
        self._server("GenieSampler_applyConfig")
        checks.check_sampler(sampler)
        if sampler.seed != self._settings.sampler.seed:
            self._conversation.random = sampling.RandomStream(sampler.seed)
        self._settings.sampler = sampler

    @property
    def constrains(self) -> bool:
        return True

    def set_constraint(self, constraint: Constraint | None) -> None:
        self._server("GenieDialog_setGrammar")
        checks.check_constraint(constraint)
        self._constraints.set(constraint)

    # --- the conversation ----------------------------------------------------------------------

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        query = Query(text, code, on_text, on_progress, time.perf_counter())
        call = "GenieDialog_query"
        server = self._server(call)
        self._set_outcome(Outcome())
        checks.check_query(text, code, empty=not len(self._conversation.record))
        stream, probe = server.stream(), server.stream()
        with self._lock:
            self._running = (probe, stream)
        try:
            return self._runner.run(query, stream, probe)
        except ServerFailure as error:
            self._set_outcome(Outcome())
            query.end(SentenceCode.ABORT)
            raise GenieError(Status.ERROR_GENERAL, call, error.message) from error
        except ConstraintRefused:
            query.end(SentenceCode.ABORT)
            raise
        finally:
            with self._lock:
                self._running = ()
            stream.close()
            probe.close()

    def signal(self, action: Action) -> None:
        call = "GenieDialog_signal"
        self._server(call)
        if action != Action.ABORT:
            raise GenieError(Status.ERROR_INVALID_ARGUMENT, call, "this engine cannot pause.")
        with self._lock:
            for stream in self._running:
                stream.cancel()

    def reset(self) -> None:
        call = "GenieDialog_reset"
        server = self._server(call)
        conversation = self._conversation
        conversation.record = CacheRecord()
        conversation.pending = None
        conversation.queries = 0
        conversation.random = sampling.RandomStream(self._settings.sampler.seed)
        with _failures(call):
            server.erase()

    @property
    def context_occupancy(self) -> int:
        self._server("GenieDialog_getValue")
        return len(self._conversation.record)

    def tokenize(self, text: str) -> list[int]:
        call = "GenieTokenizer_encode"
        server = self._server(call)
        checks.check_encodable(text, call)
        with _failures(call):
            return server.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        call = "GenieTokenizer_decode"
        server = self._server(call)
        checks.check_tokens(list(tokens), self._info.vocabulary_size)
        with _failures(call):
            return server.detokenize(tokens)

    def profile(self) -> QueryProfile | None:
        self._server("GenieProfile_getJsonData")
        return self._outcome.profile

    @property
    def ending(self) -> Ending | None:
        self._server("GenieDialog_getValue")
        return self._outcome.ending

    @property
    def stop_sequence(self) -> str:
        self._server("GenieDialog_getValue")
        return self._outcome.stop_sequence

    def close(self) -> None:
        server, self._loaded = self._loaded, None
        if server is not None:
            server.close()

    # --- save and restore ----------------------------------------------------------------------

    @cached_property
    def _digest(self) -> str:
        return header_digest(self._file, self._info)

    def save(self, folder: Path) -> None:
        call = "GenieDialog_save"
        server = self._server(call)
        conversation = self._conversation
        if not len(conversation.record):
            raise GenieError(Status.ERROR_QUERY_FAILED, call, "the cache is empty.")
        saved = snapshot.Snapshot(
            model=self._digest,
            runtime=runtime_version(),
            segments=conversation.record.segments,
            pending=conversation.pending,
            queries=conversation.queries,
            random_base=conversation.random.base,
            random_position=conversation.random.position,
        )
        with _failures(call), server.saved_slot() as cache_file:
            self._snapshots.write(folder, saved, cache_file)

    @property
    def rewinds_restored(self) -> bool:
        # Each request names all its tokens, and llama.cpp reuses those that its own list, saved with the cache, has.
        return True

    def restore(self, folder: Path, *, random: bool = True) -> None:
        call = "GenieDialog_restore"
        server = self._server(call)
        with _failures(call):
            saved = self._snapshots.read(folder, model=self._digest, runtime=runtime_version())
            record = CacheRecord(saved.segments)
            if len(record) > self._context:
                raise snapshot.SnapshotInvalid("it does not fit this context window.")
            server.restore_slot(folder / snapshot.CACHE_FILE)
        conversation = self._conversation
        conversation.record = record
        conversation.pending = saved.pending
        conversation.queries = saved.queries
        if random:
            conversation.random = sampling.RandomStream(saved.random_base, saved.random_position)

    # --- checks --------------------------------------------------------------------------------

    def _server(self, call: str) -> LlamaServer:
        if self._loaded is None:
            raise GenieError(Status.ERROR_INVALID_HANDLE, call, "the model was unloaded.")
        return self._loaded

    def _set_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome


@contextmanager
def _failures(call: str) -> Iterator[None]:
    """Say what failed in `call` with Genie's status: -6 for files, -1 for llama.cpp."""
    try:
        yield
    except ServerFailure as error:
        status = Status.ERROR_GENERAL
        if call in ("GenieDialog_save", "GenieDialog_restore"):
            status = Status.ERROR_QUERY_FAILED
        raise GenieError(status, call, error.message) from error
    except snapshot.SnapshotInvalid as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, str(error)) from error
    except OSError as error:
        raise GenieError(Status.ERROR_QUERY_FAILED, call, one_line(str(error))) from error


def read_info(model_file: Path) -> GgufInfo:
    """The metadata of `model_file`. Raises EngineLoadFailed where it cannot be read; else as `read_gguf`."""
    try:
        return read_gguf(model_file, vocabulary=True)
    except OSError as error:
        raise EngineLoadFailed(
            f"The model file {one_line(model_file.name, 80)} cannot be read ({error.strerror}).",
            mend="Remove the model and pull it again.",
        ) from error
