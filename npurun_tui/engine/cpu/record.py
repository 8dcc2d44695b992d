"""Our own account of what the KV cache holds: token ids, and the text they stand for.

llama.cpp keeps such a list too but does not show it, and it may hold more than the contract says (a token that was
computed while an abort was on its way). That is harmless: each request names all its tokens, and llama.cpp computes
again whatever does not match what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from npurun_tui.engine.cpu.prefix import Segment


class CacheRecord:
    """Tokens in segments; neighbouring texts are one segment, as the tokenizer would see them."""

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self._tokens: list[int] = []
        self._segments: list[Segment] = []
        self.extend(segments)

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def tokens(self) -> list[int]:
        """All token ids, in order. Not to be changed by the caller."""
        return self._tokens

    @property
    def segments(self) -> Sequence[Segment]:
        """All segments, in order."""
        return self._segments

    def copy(self) -> CacheRecord:
        """An independent copy."""
        return CacheRecord(self._segments)

    def extend(self, segments: Iterable[Segment]) -> None:
        """Append `segments`. A text that follows a text continues it: "assistant\\n" and "Hello" are one segment."""
        run: list[Segment] = []
        for segment in segments:
            self._tokens.extend(segment.tokens)
            if segment.control:
                self._close(run)
                self._segments.append(segment)
            else:
                run.append(segment)
        self._close(run)

    def _close(self, run: list[Segment]) -> None:
        """Append the texts in `run` as one segment, joined to a text that came before."""
        if not run:
            return
        if self._segments and not self._segments[-1].control:
            run.insert(0, self._segments.pop())
        text: str | None = "".join(segment.text or "" for segment in run)
        if any(segment.text is None for segment in run):
            text = None
        tokens = tuple(token for segment in run for token in segment.tokens)
        self._segments.append(Segment(text, tokens))
        run.clear()

    def cut(self, count: int) -> CacheRecord:
        """The first `count` tokens. A segment that is cut through loses its text."""
        kept: list[Segment] = []
        left = count
        for segment in self._segments:
            if left < len(segment.tokens):
                if left:
                    kept.append(Segment(None, segment.tokens[:left]))
                break
            kept.append(segment)
            left -= len(segment.tokens)
        return CacheRecord(kept)
