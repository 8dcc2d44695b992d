"""llama.cpp's server loop, inside our own engine process, spoken to over a loopback port with a secret key.

`xllamacpp` has an in-process call too (`handle_completions`), but its chunks carry no token ids, and a dialog with
Genie's token rules needs them. The port costs about 0.1 ms per token, 1 % of the rate of the smallest model that we
know. It is bound to 127.0.0.1, to a port that the system chooses, and whoever does not have this object's random key
is answered 401.

Every request has a connection of its own: the server ends it after a stream anyway, and closing it is how a stream
is cancelled.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from npurun_tui.engine.cpu import slots
from npurun_tui.engine.cpu.stream import CompletionStream, RequestRefused, ServerFailure
from npurun_tui.errors import EngineLoadFailed, EngineUnavailable
from npurun_tui.text import one_line

BATCH: Final = 128
"""Tokens prefilled at a time. A query after an aborted prefill waits for one or two such batches (the abort itself
returns at once), so it should be small; 128 is as fast as 512 (222 and 219 tok/s for the 135M model on one core),
64 costs 4 %, 32 costs 26 %."""

REQUEST_TIMEOUT: Final = 300.0
"""Seconds for a short request: it may have to wait for a cancelled prefill to finish its batch."""


class LlamaServer:
    """One loaded model. Used by one thread; streams may be cancelled from any."""

    def __init__(
        self, model_file: Path, *, context: int, threads: int, pooling: int | None = None
    ) -> None:
        """Load the model (blocking, seconds); with `pooling`, llama.cpp's number, for embeddings and nothing else.

        Raises:
            EngineUnavailable: `xllamacpp` is not installed.
            EngineLoadFailed: llama.cpp refused the model; its reason went to stderr.
        """
        slots.sweep()
        self.slot_folder = slots.choose()
        self._key = secrets.token_hex(32)
        self._server: Any = _start(
            self._parameters(model_file, context, threads, pooling), model_file
        )
        address = urlsplit(self._server.listening_address)
        self.host = address.hostname or "127.0.0.1"
        self.port = address.port or 0
        # The address is known a moment before the library's main loop runs, and a server that is dropped in that
        # moment waits for its loop for ever. An answer that needs the loop proves that the moment is over.
        self.erase()

    def _parameters(self, model_file: Path, context: int, threads: int, pooling: int | None) -> Any:
        parameters = _library().CommonParams()
        parameters.model.path = _encodable(model_file)
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.api_keys = [self._key]
        # Two more than the window: llama.cpp stops short of its own edge, and the dialog watches ours.
        parameters.n_ctx = context + 2
        parameters.n_parallel = 1
        # An embedding's text is not cut into batches: each token is to see those after it too.
        parameters.n_batch = BATCH if pooling is None else context + 2
        parameters.n_ubatch = parameters.n_batch
        if pooling is not None:
            parameters.embedding = True
            parameters.pooling_type = _library().llama_pooling_type(pooling)
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        # What is called CPU must be the CPU: the wheels for macOS would use the GPU.
        parameters.n_gpu_layers = 0
        parameters.no_kv_offload = True
        parameters.no_op_offload = True
        parameters.slot_save_path = f"{self.slot_folder}{os.sep}"
        # One conversation at a time: no cache of other prompts in memory, no shifting that loses the beginning.
        parameters.cache_ram_mib = 0
        parameters.cache_idle_slots = False
        parameters.ctx_shift = False
        parameters.fit_params = False
        parameters.warmup = False
        parameters.ui = False
        # Seconds between a stream's signs of life, and so the longest that closing waits for one (the default is 30).
        parameters.sse_ping_interval = 1
        # Templates are rendered by us, in a sandbox; a broken one must not keep the model from loading.
        parameters.use_jinja = False
        parameters.chat_template = "chatml"
        parameters.verbosity = 2  # warnings and errors: the rest is a dozen lines for each request
        return parameters

    # --- requests ------------------------------------------------------------------------------

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, not yet open."""
        return http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_TIMEOUT)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of a request that is let in."""
        return {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Connection": "close",
        }

    def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST `body` and wait for the JSON answer.

        Raises:
            RequestRefused: the server answered with an error.
            ServerFailure: it did not answer.
        """
        connection = self.connect()
        try:
            connection.request("POST", path, json.dumps(body), dict(self.headers))
            response = connection.getresponse()
            document = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerFailure(f"llama.cpp gave no answer ({one_line(str(error))}).") from error
        finally:
            connection.close()
        if response.status != 200:
            raise RequestRefused.of(document)
        return dict(document)

    def stream(self) -> CompletionStream:
        """A streaming completion, not yet sent."""
        connection = self.connect()
        connection.timeout = None  # the parent's watchdog knows how long an answer may take
        return CompletionStream(connection, self.headers)

    def tokenize(self, text: str, *, framed: bool = False) -> list[int]:
        """Token ids of `text`: special tokens parsed, none added. `framed` is the other way round: those that the model
        wants around a text are added, and those that are spelled in it stay words."""
        if not (text or framed):
            return []
        body = {"content": text, "add_special": framed, "parse_special": not framed}
        return [int(token) for token in self.call("/tokenize", body)["tokens"]]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, special ones included."""
        if not tokens:
            return ""
        return str(self.call("/detokenize", {"tokens": list(tokens)})["content"])

    def embedding(self, tokens: Sequence[int]) -> list[float]:
        """The vector of `tokens`, of a model that was loaded for it."""
        answer = self.call("/v1/embeddings", {"input": list(tokens), "encoding_format": "float"})
        return [float(each) for each in answer["data"][0]["embedding"]]

    def erase(self) -> None:
        """Empty the KV cache, so that a reset really prefills anew (and a bench measures that)."""
        self.call("/slots/0?action=erase", {})

    @contextmanager
    def saved_slot(self) -> Iterator[Path]:
        """The KV cache as a file, to be moved elsewhere; what is left of it goes."""
        with slots.existing(self.slot_folder):
            path = self.slot_folder / "saved"
            answer = self.call("/slots/0?action=save", {"filename": path.name})
            if answer.get("n_written") != path.stat().st_size:
                raise ServerFailure("llama.cpp did not write its whole cache.")
            yield path

    def restore_slot(self, file: Path) -> None:
        """Read the KV cache from `file`, by way of the only folder that llama.cpp reads in."""
        with slots.existing(self.slot_folder):
            path = self.slot_folder / "restored"
            slots.place(file, path)
            self.call("/slots/0?action=restore", {"filename": path.name})

    def close(self) -> None:
        """Free the model and the port. Dropping the last reference does it, in some 50 ms."""
        self._server = None


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise missing_library(error) from error
    return xllamacpp


def runtime_version() -> str:
    """The version of `xllamacpp`, which fixes that of llama.cpp."""
    return str(_library().__version__)


def missing_library(error: ImportError) -> EngineUnavailable:
    """Why there is no CPU engine here, and what to do."""
    import platform

    machine = f"{platform.system()} {platform.machine()}"
    if isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp":
        reason = "is not installed"
    else:
        reason = f"cannot be loaded ({one_line(str(error))})"
    return EngineUnavailable(
        f"The CPU engine (llama.cpp) {reason} on this machine ({machine}, Python {platform.python_version()}).",
        mend="`pip install xllamacpp` has ready builds for Linux x86-64 and ARM64, macOS, and Windows x86-64; "
        "elsewhere it must be built from source.",
    )


def _encodable(model_file: Path) -> str:
    path = str(model_file)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise EngineLoadFailed(
            f"The model's path {one_line(path)} is not valid UTF-8, which llama.cpp needs.",
            mend="Move the models folder, or set NPURUN_MODELS_DIR to another one.",
        ) from error
    return path


def _start(parameters: Any, model_file: Path) -> Any:
    try:
        return _library().Server(parameters)
    except (RuntimeError, MemoryError, ValueError) as error:
        raise EngineLoadFailed(
            f"llama.cpp could not load {one_line(model_file.name, 80)}; its reason is in the engine log.",
            mend="Either there is too little free memory for it (a smaller context window needs less), or this "
            "llama.cpp does not know the model's architecture.",
        ) from error
