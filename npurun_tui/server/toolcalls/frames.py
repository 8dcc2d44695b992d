"""What may be a call, from its first character on: one function for each way in which models write them.

Each takes the text from that character on, as far as it has come, and gives a `Verdict`, or None while more text
could change it. None of them depends on how the text was cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from npurun_tui.engine.messages import ToolCall
from npurun_tui.server.toolcalls.spans import JsonSpan
from npurun_tui.server.toolcalls.tools import FIRST_KEYS, Toolbox

_TAG: Final = re.compile(
    r"<(?:\|python_tag\||function=([^<>\s]{1,128})|([A-Za-z_][\w.:-]{0,127}))>"
)
_TAG_BEGUN: Final = re.compile(
    r"<(?:\|[a-z_]{0,10}\|?|function=[^<>\s]{0,128}|[A-Za-z_][\w.:-]{0,127})?"
)
_FENCE: Final = re.compile(r"```[ \t]*(?:json|JSON|tool_call|tool_code)?[ \t]*\r?\n\s*(?=[{\[])")
_FENCE_BEGUN: Final = re.compile(r"`{1,2}|```[ \t]*[A-Za-z_]{0,10}[ \t]*(?:\r?\n?)\s*")
_MISTRAL: Final = re.compile(
    r"\[TOOL_CALLS\]\s*(?:([\w.-]{1,128})(?:\[CALL_ID\]\w{0,64})?(?:\[ARGS\])?\s*(?=\{)|(?=[{\[]))"
)
_MISTRAL_MARK: Final = "[TOOL_CALLS]"
_MISTRAL_BEGUN: Final = re.compile(
    r"\[TOOL_CALLS\]\s*(?:[\w.-]{1,128}(?:\[[A-Z_\w\[\]]{0,80})?\s*)?"
)
_BARE: Final = re.compile(r'(?:\[\s*)?\{\s*"([^"\\]{1,16})"')
_BARE_BEGUN: Final = re.compile(r'(?:\[\s*)?(?:\{\s*)?(?:"([^"\\]{0,16}))?')
_PARAMETER: Final = re.compile(r"\s*<parameter=([^<>\s]{1,128})>")
_VALUE_END: Final = re.compile(r"</parameter>(?=\s*(?:<parameter=|</function>))")
_FUNCTION_END: Final = re.compile(r"\s*</function>")
_FUNCTION: Final = re.compile(r"<function=([^<>\s]{1,128})>")
_FUNCTION_BEGUN: Final = re.compile(
    r"<(?:f(?:u(?:n(?:c(?:t(?:i(?:o(?:n(?:=[^<>\s]{0,128})?)?)?)?)?)?)?)?)?"
)
_PARAMETER_BEGUN: Final = re.compile(r"<parameter=[^<>\s]{0,128}")
_WRAPPERS: Final = ("tool_call", "function_call", "tool_calls", "tools")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first `length` characters, at least one, are these calls; without any they are text."""

    length: int
    calls: tuple[ToolCall, ...] = ()


NO_CALL: Final = Verdict(1)


@dataclass(slots=True)
class Frames:
    """The judge of one candidate. It remembers how far it has looked into JSON values."""

    tools: Toolbox
    _spans: dict[int, JsonSpan] = field(default_factory=dict)

    def judge(self, text: str, *, line_start: bool, last: bool) -> Verdict | None:
        """What `text` begins with. `line_start`: nothing but space stands before it in its line; `last`: no more
        text comes."""
        if text[0] == "<":
            verdict = self._tag(text, last)
        elif not line_start and not text.startswith(_MISTRAL_MARK[: len(text)]):
            return NO_CALL
        elif text[0] == "`":
            verdict = self._fence(text, last)
        else:
            verdict = self._bare(text)
        return NO_CALL if verdict is None and last else verdict

    def looked_at(self, text: str, last: bool) -> int:
        """Characters of JSON values that were looked through."""
        ends = [(span.end or (len(text) if last else at)) - at for at, span in self._spans.items()]
        return sum(ends)

    # -- elements --------------------------------------------------------------------------

    def _tag(self, text: str, last: bool) -> Verdict | None:
        opening = _TAG.match(text)
        if opening is None:
            return None if _TAG_BEGUN.fullmatch(text) else NO_CALL
        if opening[1]:
            return self._function(text, 0)
        tag = opening[2] or ""
        values = self._values(text, opening.end(), tag if tag in _WRAPPERS else "")
        if not tag:
            return self._python_tag(text, values, last)
        found = self._closed(text, values, f"</{tag}>", last)
        if found is None or isinstance(found, Verdict):
            return found
        length, pieces = found
        return _all_calls(length, [self._read(text, piece, tag) for piece in pieces])

    def _python_tag(self, text: str, values: Iterator[Piece], last: bool) -> Verdict | None:
        """Llama's mark stands before the value, with nothing behind it."""
        piece = next(values)
        if not piece.end:
            return NO_CALL if piece.wrong or last else None
        return _all_calls(piece.end, [self._read(text, piece, "")])

    def _closed(
        self, text: str, values: Iterator[Piece], closing: str, last: bool
    ) -> tuple[int, list[Piece]] | Verdict | None:
        """The values up to `closing`, and where that ends; the end of the text closes as well, after a whole one."""
        pieces: list[Piece] = []
        at = 0
        for piece in values:
            if piece.end:
                pieces.append(piece)
                at = piece.end
                continue
            rest = text[piece.start :]
            if pieces and rest.startswith(closing):
                return piece.start + len(closing), pieces
            if pieces and closing.startswith(rest):
                return (len(text), pieces) if last else None
            if piece.wrong:
                return NO_CALL
            return (at, pieces) if pieces and last and not rest else None
        return NO_CALL

    def _values(self, text: str, at: int, wrapper: str) -> Iterator[Piece]:
        """The values from `at` on; the last piece has no end: there something else stands, or nothing yet."""
        while True:
            start = _skip(text, at)
            rest = text[start : start + 1]
            if rest and rest in "{[":
                end = self._span(text, start)
                yield Piece(start, end)
                if not end:
                    return
            elif wrapper and _FUNCTION.match(text, start):
                found = self._function(text, start)
                if found is None or not found.calls:
                    yield Piece(start, wrong=found is not None)
                    return
                end = start + found.length
                yield Piece(start, end, found.calls)
            else:
                begun = not rest or (wrapper and _FUNCTION_BEGUN.fullmatch(text, start))
                yield Piece(start, wrong=not begun)
                return
            at = end

    def _function(self, text: str, start: int) -> Verdict | None:
        """`<function=NAME>` with parameters, or with JSON, in it."""
        opening = _FUNCTION.match(text, start)
        if opening is None or opening[1] not in self.tools:
            return NO_CALL
        name, at = opening[1], opening.end()
        if text[_skip(text, at) :][:1] == "{":
            found = self._closed(text, self._values(text, at, ""), "</function>", False)
            if found is None or isinstance(found, Verdict):
                return found
            length, pieces = found
            calls = _all_calls(length, [self._read(text, piece, name) for piece in pieces])
            return Verdict(length - start, calls.calls) if calls.calls else NO_CALL
        return self._parameters(text, start, at, name)

    def _parameters(self, text: str, start: int, at: int, name: str) -> Verdict | None:
        values: dict[str, str] = {}
        while True:
            if ending := _FUNCTION_END.match(text, at):
                return Verdict(ending.end() - start, (self.tools.from_xml(name, values),))
            if opening := _PARAMETER.match(text, at):
                ending = _VALUE_END.search(text, opening.end())
                if ending is None:
                    return None
                values[opening[1]] = text[opening.end() : ending.start()]
                at = ending.end()
                continue
            rest = text[_skip(text, at) :]
            begun = (
                "</function>".startswith(rest)
                or "<parameter=".startswith(rest)
                or _PARAMETER_BEGUN.fullmatch(rest)
            )
            return None if begun else NO_CALL

    # -- JSON without an element -----------------------------------------------------------

    def _fence(self, text: str, last: bool) -> Verdict | None:
        opening = _FENCE.match(text)
        if opening is None:
            return None if _FENCE_BEGUN.fullmatch(text) else Verdict(_ticks(text))
        begun = self._first_key(text, opening.end())
        if begun is not True:
            return None if begun is None else Verdict(3)
        found = self._closed(text, self._values(text, opening.end(), ""), "```", last)
        if found is None or isinstance(found, Verdict):
            return found and Verdict(3)
        length, pieces = found
        return _all_calls(length, [self._read(text, each, "", framed=False) for each in pieces])

    def _bare(self, text: str) -> Verdict | None:
        if text.startswith(_MISTRAL_MARK[: len(text)]) and len(text) > 1:
            return self._mistral(text)
        begun = self._first_key(text, 0)
        if begun is not True:
            return None if begun is None else NO_CALL
        end = self._span(text, 0)
        if not end:
            return None
        return _all_calls(end, [self._read(text, Piece(0, end), "", framed=False)])

    def _mistral(self, text: str) -> Verdict | None:
        opening = _MISTRAL.match(text)
        if opening is None:
            begun = _MISTRAL_MARK.startswith(text) or _MISTRAL_BEGUN.fullmatch(text)
            return None if begun else NO_CALL
        end = self._span(text, opening.end())
        if not end:
            return None
        return _all_calls(end, [self._read(text, Piece(opening.end(), end), opening[1] or "")])

    def _first_key(self, text: str, at: int) -> bool | None:
        """Whether the JSON value at `at` begins as calls do."""
        if match := _BARE.match(text, at):
            return match[1] in FIRST_KEYS
        begun = _BARE_BEGUN.fullmatch(text, at)
        if begun is None:
            return False
        key = begun[1] or ""
        return None if any(known.startswith(key) for known in FIRST_KEYS) else False

    def _span(self, text: str, at: int) -> int:
        return self._spans.setdefault(at, JsonSpan(at)).scan(text)

    def _read(self, text: str, piece: Piece, tag: str, *, framed: bool = True) -> list[ToolCall]:
        if piece.calls:
            return list(piece.calls)
        return self.tools.from_json(text[piece.start : piece.end], tag=tag, framed=framed)


@dataclass(frozen=True, slots=True)
class Piece:
    """One value inside of a frame. `end` 0: it has not ended, or has not come; where `wrong` it will not."""

    start: int
    end: int = 0
    calls: tuple[ToolCall, ...] = ()
    wrong: bool = False


def _all_calls(length: int, found: list[list[ToolCall]]) -> Verdict:
    """The calls, where each value was one."""
    if not found or not all(found):
        return NO_CALL
    return Verdict(length, tuple(call for calls in found for call in calls))


def _skip(text: str, at: int) -> int:
    """Behind the space at `at`, and what some models put between values."""
    while at < len(text) and (text[at].isspace() or text[at] in ",;"):
        at += 1
    return at


def _ticks(text: str) -> int:
    """How many backticks `text` begins with."""
    return len(text) - len(text.lstrip("`"))
