"""Models that make embeddings: which they are, and the dialog that answers with vectors only.

llama.cpp reads such a model in a mode of its own, in which a whole text goes through it at once, so the batch is as
long as the window. Control tokens in a text are not parsed: a text is somebody's words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from npurun_tui import units
from npurun_tui.engine import checks
from npurun_tui.engine.cpu.gguf import GgufInfo
from npurun_tui.engine.cpu.server import LlamaServer
from npurun_tui.engine.cpu.stream import ServerFailure
from npurun_tui.engine.cpu.threads import choose_threads
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
from npurun_tui.engine.spec import BACKEND_LABELS, ModelSpec
from npurun_tui.errors import ContextOverflow, EngineLoadFailed
from npurun_tui.text import one_line

NO_POOLING: Final = 0
MEAN: Final = 1
VECTORS: Final = frozenset({MEAN, 2, 3})
"""Of llama.cpp's pooling types those that make one vector of a text: mean, CLS, last. 4 ranks."""
RANKS: Final = 4

ENCODERS: Final = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "llama-embed",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
    }
)
"""llama.cpp's names of architectures that make nothing but embeddings."""

LARGEST_DEFAULT_CONTEXT: Final = 2048
"""A text's attention is computed whole, in memory that grows with the square of the window."""

CALL: Final = "GenieEmbedding_generate"


def is_embedding(info: GgufInfo) -> bool:
    """Whether the model makes embeddings instead of answers."""
    if info.pooling == RANKS:
        return False
    return info.pooling in VECTORS or info.architecture in ENCODERS


class EmbeddingDialog(Dialog):
    """One GGUF model that makes embeddings, loaded. What belongs to answers fails with -1."""

    def __init__(self, spec: ModelSpec, file: Path, info: GgufInfo) -> None:
        """Load the model of `file`, whose metadata is `info` (blocking).

        Raises:
            EngineUnavailable: there is no llama.cpp for this machine.
            EngineLoadFailed: llama.cpp refused the model.
        """
        self._info = info
        # Positions after the trained ones are not in the file.
        trained = info.context_length or LARGEST_DEFAULT_CONTEXT
        self._context = min(spec.context or LARGEST_DEFAULT_CONTEXT, trained)
        if self._context < 1:
            raise EngineLoadFailed(f"The model {one_line(spec.name)} has no context window.")
        self._loaded: LlamaServer | None = LlamaServer(
            file,
            context=self._context,
            threads=choose_threads(spec.threads),
            pooling=info.pooling if info.pooling in VECTORS else MEAN,
        )
        self._frame: list[int] | None = None

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
    def embeds(self) -> bool:
        return True

    def embed(
        self, texts: Sequence[str], *, truncate: bool = False
    ) -> tuple[list[list[float]], int]:
        server = self._server(CALL)
        for text in texts:
            checks.check_encodable(text, CALL)
        try:
            prompts = [self._tokens(server, text, truncate=truncate) for text in texts]
            vectors = [_unit(server.embedding(prompt)) for prompt in prompts]
        except ServerFailure as error:
            raise GenieError(Status.ERROR_GENERAL, CALL, error.message) from error
        return vectors, sum(map(len, prompts))

    def _tokens(self, server: LlamaServer, text: str, *, truncate: bool) -> list[int]:
        """`text` with the tokens that the model wants around it, no longer than the window."""
        tokens = server.tokenize(text, framed=True)
        if not tokens:
            raise GenieError(Status.ERROR_INVALID_ARGUMENT, CALL, "a text is empty.")
        if len(tokens) <= self._context:
            return tokens
        if not truncate:
            raise ContextOverflow(
                f"A text has {units.count(len(tokens), 'token')}; "
                f"the model's context window holds {self._context:,}.",
                mend="Split it, or ask for it to be cut.",
                needed=len(tokens),
                window=self._context,
            )
        end = tokens[-1:] if self._ends_with_mark(server, tokens) else []
        return tokens[: self._context - len(end)] + end

    def _ends_with_mark(self, server: LlamaServer, tokens: Sequence[int]) -> bool:
        """Whether the last token is one that every text ends with (BERT's `[SEP]`)."""
        if self._frame is None:
            self._frame = server.tokenize("", framed=True)
        frame = self._frame
        return frame[-1:] == [tokens[-1]] and (len(frame) > 1 or frame[0] != tokens[0])

    def tokenize(self, text: str) -> list[int]:
        call = "GenieTokenizer_encode"
        checks.check_encodable(text, call)
        try:
            return self._server(call).tokenize(text)
        except ServerFailure as error:
            raise GenieError(Status.ERROR_GENERAL, call, error.message) from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        call = "GenieTokenizer_decode"
        checks.check_tokens(list(tokens), self._info.vocabulary_size)
        try:
            return self._server(call).detokenize(tokens)
        except ServerFailure as error:
            raise GenieError(Status.ERROR_GENERAL, call, error.message) from error

    def close(self) -> None:
        server, self._loaded = self._loaded, None
        if server is not None:
            server.close()

    def _server(self, call: str) -> LlamaServer:
        if self._loaded is None:
            raise GenieError(Status.ERROR_INVALID_HANDLE, call, "the model was unloaded.")
        return self._loaded

    # --- what belongs to answers: settings are taken, because they mean nothing -----------------

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        checks.check_stop_sequences(sequences)

    def set_max_tokens(self, count: int | None) -> None:
        checks.check_max_tokens(count)

    def set_sampler(self, sampler: Sampler) -> None:
        checks.check_sampler(sampler)

    def query(
        self,
        text: str,
        code: SentenceCode = SentenceCode.COMPLETE,
        on_text: OnText | None = None,
        on_progress: OnProgress | None = None,
    ) -> Status:
        del text, code, on_text, on_progress
        self._no_answers("GenieDialog_query")

    def signal(self, action: Action) -> None:
        del action

    def reset(self) -> None:
        """Nothing is kept."""

    def save(self, folder: Path) -> None:
        del folder
        self._no_answers("GenieDialog_save")

    def restore(self, folder: Path, *, random: bool = True) -> None:
        del folder, random
        self._no_answers("GenieDialog_restore")

    @property
    def context_occupancy(self) -> int:
        return 0

    def profile(self) -> QueryProfile | None:
        return None

    def _no_answers(self, call: str) -> NoReturn:
        text = "this model makes embeddings, and gives no answers."
        raise GenieError(Status.ERROR_GENERAL, call, text)


def _unit(vector: Sequence[float]) -> list[float]:
    """`vector` at the length of 1, whatever the model's own is."""
    length = math.sqrt(math.fsum(each * each for each in vector))
    if not (math.isfinite(length) and length > 0):
        raise GenieError(Status.ERROR_GENERAL, CALL, "llama.cpp gave no direction for a text.")
    return [each / length for each in vector]
