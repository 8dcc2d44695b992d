"""From a query's text to the tokens that the cache shall hold before the answer.

This is Genie's table of what each sentence code feeds (last sampled token, EOS, BOS, text), and its REWIND. Only text
that is new is tokenized, by llama.cpp itself, so that there is no second opinion on tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from npurun_tui.engine.cpu.generation import Piece
from npurun_tui.engine.cpu.gguf import GgufInfo
from npurun_tui.engine.cpu.prefix import Part, Segment, Splitter, common_prefix, reusable
from npurun_tui.engine.cpu.record import CacheRecord
from npurun_tui.engine.cpu.sampling import RandomStream
from npurun_tui.engine.dialog import SentenceCode


@dataclass(slots=True)
class Conversation:
    """Where a dialog stands."""

    random: RandomStream
    record: CacheRecord = field(default_factory=CacheRecord)
    """The tokens in the cache."""
    pending: Segment | None = None
    """What was sampled last and is not in the cache yet: one token, or those of one character. None after an end of
    sequence or a stop sequence."""
    queries: int = 0
    """Queries since the last reset."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a query makes of the cache before it generates."""

    prompt: CacheRecord
    """All tokens, those in the cache included."""
    cached: int
    """How many of them the cache holds already."""


class Planner:
    """Plans queries for one model."""

    def __init__(self, tokenize: Callable[[str], list[int]], info: GgufInfo) -> None:
        self._tokenize = tokenize
        self._control = info.control_tokens
        self._names = {token: text for text, token in info.control_tokens.items()}
        self._splitter = Splitter(info.control_tokens)
        self._adds_space = info.tokenizer == "llama"
        self._eos = info.eos
        self._bos_text = info.bos_text if info.adds_bos else ""

    def plan(self, text: str, code: SentenceCode, conversation: Conversation) -> Plan:
        """The tokens for a query of `text` with sentence code `code`."""
        if code == SentenceCode.REWIND:
            return self._rewind(self._with_bos(text), conversation)
        prompt = conversation.record.copy()
        if code in (SentenceCode.COMPLETE, SentenceCode.BEGIN):
            if conversation.pending is not None:
                prompt.extend([conversation.pending])
            if conversation.queries and self._eos >= 0:
                prompt.extend([self._token(self._eos)])
            text = self._with_bos(text)
        prompt.extend(self._encode(self._splitter.split(text)))
        return Plan(prompt, len(conversation.record))

    def _rewind(self, text: str, conversation: Conversation) -> Plan:
        """Compose the prompt of cached segments and new tokens; see `prefix` for why."""
        source = conversation.record.copy()
        if conversation.pending is not None:
            source.extend([conversation.pending])
        parts = self._splitter.split(text)
        kept = reusable(parts, source.segments)
        prompt = CacheRecord(source.segments[:kept])
        prompt.extend(self._encode(parts[kept:]))
        return Plan(prompt, common_prefix(prompt.tokens, conversation.record.tokens))

    def answer(self, pieces: Sequence[Piece]) -> list[Segment]:
        """The generated `pieces` with all their tokens, one segment for each."""
        unknown = [piece for piece in pieces if piece.count > 1]
        found = iter(self._tokens_of(unknown))
        return [
            self._token(piece.token, piece.text)
            if piece.count == 1
            else Segment(piece.text, next(found))
            for piece in pieces
        ]

    def _with_bos(self, text: str) -> str:
        """`text` with the model's BOS before it, unless its template wrote one already."""
        bos = self._bos_text
        if bos not in self._control or text.startswith(bos):
            return text
        return bos + text

    def _encode(self, parts: Sequence[Part]) -> list[Segment]:
        tokens = self._tokenize("".join(part.text for part in parts)) if parts else []
        return self._splitter.align(parts, tokens)

    def _token(self, token: int, text: str | None = None) -> Segment:
        name = self._names.get(token)
        return Segment(text, (token,)) if name is None else Segment(name, (token,), control=True)

    def _tokens_of(self, pieces: Sequence[Piece]) -> list[tuple[int, ...]]:
        """The tokens of characters that came in several: llama.cpp names only the last.

        The canonical tokens are very probably the sampled ones; where they are not, their text is the same, so the
        conversation is right and llama.cpp's own prefix match merely computes them again.
        """
        groups = self._encode_all([piece.text for piece in pieces])
        found: list[tuple[int, ...]] = []
        for piece, group in zip(pieces, groups, strict=True):
            extra = len(group) - piece.count
            if extra == 1 and self._adds_space and group[-1] == piece.token:
                found.append(group[1:])  # SentencePiece puts a space before any text of its own
            else:
                found.append(group)
        return found

    def _encode_all(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Tokens of each of `texts`, in one request where a control token can stand between them."""
        if len(texts) > 1 and self._control:
            separator, token = next(iter(self._control.items()))
            groups: list[list[int]] = [[]]
            for found in self._tokenize(separator.join(texts)):
                if found == token:
                    groups.append([])
                else:
                    groups[-1].append(found)
            if len(groups) == len(texts):
                return [tuple(group) for group in groups]
        return [tuple(self._tokenize(text)) for text in texts]
