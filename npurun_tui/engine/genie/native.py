"""One native dialog with what belongs to it: profile, log, borrowed sampler and tokenizer, made and freed in the
right order.

A rebuild frees the old dialog before it makes the new one: two at once do not fit the NPU's memory (error 1007).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Final

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.genie.library import Buffer, Library

OCCUPANCY: Final = 0
UNLIMITED: Final = (1 << 32) - 1
PRIMARY: Final = b"primary"
"""The role of a basic dialog's engine."""

_LEVELS: Final = {"error": 1, "warn": 2, "info": 3, "verbose": 4}


class NativeDialog:
    """A `GenieDialog_Handle_t`. Every call raises GenieError where Genie does, and -5 once it is closed."""

    def __init__(self, library: Library, config: bytes) -> None:
        """Make a dialog from the JSON `config` (blocking: 5 to 35 seconds on the NPU).

        Raises:
            GenieError: with the text that Genie wrote to stderr.
        """
        self.library = library
        self._ffi = library.ffi
        self._dialog: Any = None
        self._profile: Any = None
        self._log: Any = None
        try:
            self._create(config)
        except GenieError:
            self.close()
            raise

    def _create(self, config: bytes) -> None:
        library = self.library
        self._profile = library.make("Profile", "GenieProfile_create", self._ffi.NULL)
        self._log = self._make_log()
        settings = library.make("DialogConfig", "GenieDialogConfig_createFromJson", config)
        try:
            library.call("GenieDialogConfig_bindProfiler", settings, self._profile)
            library.call("GenieDialogConfig_bindLogger", settings, self._log)
            self._dialog = library.make("Dialog", "GenieDialog_create", settings)
        finally:
            library.status("GenieDialogConfig_free", settings)
        self.sampler = library.make("Sampler", "GenieDialog_getSampler", self._dialog)
        self.tokenizer = library.make("Tokenizer", "GenieDialog_getTokenizer", self._dialog)

    def _make_log(self) -> Any:
        """Genie's own sink, which prints to stdout: in the engine process that is the engine log."""
        level = _LEVELS.get(os.environ.get("NPURUN_GENIE_LOG", "warn").lower(), _LEVELS["warn"])
        null = self._ffi.NULL
        return self.library.make("Log", "GenieLog_create", null, null, level)

    def close(self) -> None:
        """Free everything; the profile can only go after the dialog that it is bound to."""
        library = self.library
        dialog, profile, log = self._dialog, self._profile, self._log
        self._dialog = self._profile = self._log = None
        for name, handle in (
            ("GenieDialog_free", dialog),
            ("GenieProfile_free", profile),
            ("GenieLog_free", log),
        ):
            if handle is not None:
                library.status(name, handle)

    @property
    def open(self) -> bool:
        """False once it is closed."""
        return self._dialog is not None

    def call(self, name: str, *arguments: Any) -> Status:
        """`GenieDialog_<name>` on this dialog."""
        return self.library.call(f"GenieDialog_{name}", self._handle(name), *arguments)

    def raw(self, name: str, *arguments: Any) -> int:
        """The same, without listening to stderr: for calls from other threads."""
        return self.library.status(f"GenieDialog_{name}", self._handle(name), *arguments)

    def _handle(self, name: str) -> Any:
        if self._dialog is None:
            raise GenieError(
                Status.ERROR_INVALID_HANDLE, f"GenieDialog_{name}", "the model was unloaded."
            )
        return self._dialog

    # --- what every version can tell -----------------------------------------------------------

    def occupancy(self) -> int | None:
        """Tokens in the KV cache; None where this release cannot tell (before API 1.18)."""
        if not self.library.has("GenieDialog_getValue"):
            self._handle("getValue")
            return None
        kind, value = self._ffi.new("int32_t*"), self._ffi.new("Value*")
        # Genie wants an allocation callback also for a number, which needs none.
        unused = self._ffi.callback("AllocFn", lambda _size, _out: None)
        self.call("getValue", OCCUPANCY, unused, kind, value)
        return int(value.uint32Value)

    def profile(self) -> bytes:
        """The profile's JSON so far."""
        self._handle("profile")
        return self.library.data("GenieProfile_getJsonData", self._profile)

    def encode(self, text: bytes) -> list[int]:
        """Token ids of `text`, which is not empty and has no NUL."""
        self._handle("getTokenizer")
        count = self._ffi.new("uint32_t*")
        out = self._ffi.new("const int32_t**")
        memory = Buffer(self._ffi)
        self.library.call(
            "GenieTokenizer_encode", self.tokenizer, text, memory.allocate, out, count
        )
        ids = memoryview(memory.taken()).cast("i").tolist()
        return ids[: int(count[0])]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, of which there is at least one."""
        self._handle("getTokenizer")
        ids = self._ffi.new("int32_t[]", list(tokens))
        data = self.library.data("GenieTokenizer_decode", self.tokenizer, ids, len(tokens))
        return data.rstrip(b"\x00").decode("utf-8", "replace")

    def set_stop_sequences(self, sequences: Sequence[str]) -> None:
        document = json.dumps({"stop-sequence": list(sequences)}) if sequences else "{}"
        self.call("setStopSequence", document.encode())

    def apply_sampler(self, document: bytes) -> None:
        """Change the settings of the dialog's sampler (all but the token penalty)."""
        self._handle("getSampler")
        library = self.library
        settings = library.make("SamplerConfig", "GenieSamplerConfig_createFromJson", document)
        try:
            library.call("GenieSampler_applyConfig", self.sampler, settings)
        finally:
            library.status("GenieSamplerConfig_free", settings)

    def policy(self) -> int | None:
        """The performance policy; None where there is none to be had."""
        out = self._ffi.new("int32_t*")
        if self.raw("getPerformancePolicy", out):
            return None
        return int(out[0])

    # --- what only some bundles and releases have ----------------------------------------------

    def set_grammar(self, kind: str, file: str) -> None:
        """Hold answers to the grammar in `file`; `kind` is json-schema, regex or ebnf, "" removes it (API 1.21)."""
        null = self._ffi.NULL
        self.call("setGrammar", kind.encode() or null, os.fsencode(file) if kind else null)

    def apply_lora(self, adapter: str) -> None:
        """Use the LoRA adapter `adapter` of the bundle."""
        self.call("applyLora", PRIMARY, adapter.encode())

    def set_lora_strength(self, tensor: str, alpha: float) -> None:
        """Weigh the adapter's `tensor` by `alpha`."""
        self.call("setLoraStrength", PRIMARY, tensor.encode(), alpha)

    def release_lora(self, adapter: str) -> None:
        """Free an adapter's memory (API 1.18)."""
        self.call("releaseLoraMemory", PRIMARY, adapter.encode())
