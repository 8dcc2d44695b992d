"""One query's tokens on their way from llama.cpp to the caller.

The rules of `engine/dialog.py` are applied here: one callback per token, stop sequences never seen, the end-of-sequence
token neither seen nor counted. A token that leaves text held back has its callback one token later: if it was the last
one, its callback brings that text, for which there is no other. What was generated stays in `pieces` on every way out,
also when a callback raises.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from npurun_tui.engine.cpu.stops import StopFilter
from npurun_tui.engine.cpu.stream import CompletionStream, End, Progress, Token
from npurun_tui.engine.dialog import Ending, OnProgress, OnText, SentenceCode


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that make up whole characters."""

    text: str
    token: int
    """The last of them; llama.cpp does not tell the others'."""
    count: int


class Generation:
    """Reads one stream to its end."""

    def __init__(
        self,
        stream: CompletionStream,
        request: Mapping[str, Any],
        stops: StopFilter,
        *,
        limit: int,
        end_tokens: AbstractSet[int],
        on_text: OnText | None,
        on_progress: OnProgress | None,
    ) -> None:
        """At most `limit` tokens come; with the last one nothing is held back any more."""
        self._stream = stream
        self._request = request
        self._stops = stops
        self._limit = limit
        self._end_tokens = end_tokens
        self._on_text = on_text
        self._on_progress = on_progress
        self._held: tuple[Token, float] | None = None
        self._waiting: str | None = None
        self._begun = False
        self._matched = False
        self.pieces: list[Piece] = []
        self.count = 0
        """Generated tokens, without an end-of-sequence token."""
        self.lost_end = False
        """The last tokens are half of a character, and llama.cpp did not say which they are."""
        self.progress = Progress(0, 0, 0)
        self.end: End | None = None
        self.first_at = 0.0
        self.last_at = 0.0
        """When the last of those that are counted came. With the end-of-sequence token's time in it each rate would be
        too low: by 5 % after twenty tokens."""

    def run(self) -> Ending:
        """Deliver everything but the terminal callback; how it ended."""
        for event in self._stream.events(self._request):
            if isinstance(event, Token):
                self._token(event)
            elif isinstance(event, Progress):
                self._report(event)
            else:
                return self._end(event)
            if self._matched:
                return Ending.STOP
            if self._stream.cancelled:
                break
        self._release(self._stops.flush())
        return Ending.ABORT

    @property
    def stop_sequence(self) -> str:
        """The stop sequence that ended it; "" where none did."""
        return self._stops.matched

    def kept_pieces(self) -> list[Piece]:
        """The pieces that lie before the stop sequence (all of them where there was none)."""
        if not self._matched:
            return self.pieces
        kept: list[Piece] = []
        length = 0
        for piece in self.pieces:
            length += len(piece.text)
            if length > self._stops.emitted:
                break
            kept.append(piece)
        return kept[: len(self.pieces) - 1]  # the piece that completes the match never stays

    def _report(self, event: Progress) -> None:
        self.progress = event
        if self._on_progress is not None:
            self._on_progress(event.processed - event.cached, event.total - event.cached)

    def _token(self, event: Token) -> None:
        now = time.perf_counter()
        if not self.first_at:
            self.first_at = self.last_at = now
        if self._held is not None:
            held, self._held = self._held, None
            self._deliver(*held)
            if self._matched or self._stream.cancelled:
                return
        if not event.text or event.token in self._end_tokens:
            # Perhaps the end of the sequence, which is known only with the next event: it must not be called back.
            self._held = event, now
        else:
            self._deliver(event, now)

    def _deliver(self, event: Token, came: float) -> None:
        # An abort in this call does not keep `event` from the caller: without its callback, what is held back from
        # before would have none to come with.
        self.last_at = came
        self._release()
        count = event.count - self.count
        self.pieces.append(Piece(event.text, event.token, count))
        for _ in range(count - 1):  # llama.cpp said nothing while the character was incomplete
            self.count += 1
            self._call("")
            if self._stream.cancelled and not self._stops.held:
                return
        self.count += 1
        text, self._matched = self._stops.feed(event.text)
        if not self._matched and event.count >= self._limit:
            text += self._stops.flush()
        if self._stops.held:
            self._waiting = text
        else:
            self._call(text)

    def _end(self, end: End) -> Ending:
        self.end = end
        ended = end.stop_type == "eos"
        held, self._held = self._held, None
        if held is not None and not ended:
            self._deliver(*held)
            if self._stream.cancelled and not self._matched:
                self._release(self._stops.flush())
                return Ending.ABORT
        missing = end.count - self.count - ended
        if not self._matched and missing > 0:
            self.lost_end = True
            self._release()
            self.count += missing
            for _ in range(missing - 1):
                self._call("")
            self._call(self._stops.feed("\ufffd")[0] + self._stops.flush())
        if self._matched:
            return Ending.STOP
        self._release(self._stops.flush())
        return Ending.EOS if ended else Ending.LENGTH

    def _release(self, rest: str = "") -> None:
        """Make the call that waited, with `rest`: what was held back for a stop sequence that did not come."""
        if self._waiting is not None:
            text, self._waiting = self._waiting, None
            self._call(text + rest)

    def _call(self, text: str) -> None:
        code = SentenceCode.CONTINUE if self._begun else SentenceCode.BEGIN
        self._begun = True
        if self._on_text is not None:
            self._on_text(text, code)
