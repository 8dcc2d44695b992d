"""A query's callback: bytes and codes from C become the contract's calls.

Nothing may be raised into C: an exception of the caller's is kept, ends the query, and is raised once the call is over.
Bytes may be cut inside a character. What is not whole comes with the next token; the call of a token that leaves half
a character waits until there is one, so that at the end of the answer it can bring what is left.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any, Final

from npurun_tui.engine.dialog import OnText, SentenceCode

TERMINAL: Final = frozenset(
    {SentenceCode.COMPLETE.value, SentenceCode.END.value, SentenceCode.ABORT.value}
)
"""Codes that end an answer. END is what Genie sends, ABORT where the engine failed."""


class Hearing:
    """Listens to one query. `function` is what C calls; it must live as long as the query."""

    def __init__(
        self, ffi: Any, on_text: OnText | None, stop: Callable[[], None], leak: str = ""
    ) -> None:
        """`stop` has the query ended, from inside its callback. `leak` is a token's text that must not be said (D4)."""
        self._ffi = ffi
        self._on_text = on_text
        self._stop = stop
        self._leak = leak.encode()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting: str | None = None
        self._pieces: list[str] = []
        self.failure: BaseException | None = None
        self.count = 0
        """Tokens that came."""
        self._terminal: SentenceCode | None = None
        self.function = ffi.callback("TextFn", self._hear, onerror=self._failed)

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "".join(self._pieces)

    def _hear(self, response: Any, code: int, _user: Any) -> None:
        if self._terminal is not None or self.failure is not None:
            return
        data = self._ffi.string(response) if response != self._ffi.NULL else b""
        if code in TERMINAL:
            aborted = code == SentenceCode.ABORT
            self._terminal = SentenceCode.ABORT if aborted else SentenceCode.END
            return
        self._release()
        text = self._decoder.decode(b"" if self._leak and data == self._leak else data)
        self.count += 1
        if self._decoder.getstate()[0]:
            self._waiting = text
        else:
            self._say(text)

    def finish(self) -> None:
        """Make the terminal call, where Genie made one. Not before the native call is over: what was stopped by an
        abort of long ago (X8) is asked again, and an answer ends once.
        """
        if self._terminal is not None:
            self._release(self._decoder.decode(b"", True))
            self._call("", self._terminal)

    def _release(self, rest: str = "") -> None:
        """Make the call that waited for the rest of its character."""
        if self._waiting is not None:
            text, self._waiting = self._waiting, None
            self._say(text + rest)

    def _say(self, text: str) -> None:
        code = SentenceCode.CONTINUE if self._pieces else SentenceCode.BEGIN
        self._pieces.append(text)
        self._call(text, code)

    def _call(self, text: str, code: SentenceCode) -> None:
        if self._on_text is not None and self.failure is None:
            self._on_text(text, code)

    def _failed(self, _kind: type[BaseException], value: BaseException, _trace: Any) -> None:
        """cffi's way to tell of an exception in the callback; whatever it is must not cross C."""
        if self.failure is None:
            self.failure = value
            self._stop()
