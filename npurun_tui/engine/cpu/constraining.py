"""Constraints as llama.cpp takes them, and the proof that it does.

llama.cpp is built here with llguidance, which compiles a JSON schema when a request is launched. A schema that it
cannot compile is told to the log only, and the answer comes free of any constraint. So each constraint is tried before
it is relied on: one token is sampled that is pushed towards `}`, with which no JSON begins. Where it comes, nothing
holds. That costs one token of the cached prompt, once for each constraint.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from npurun_tui.engine.cpu.stream import CompletionStream, RequestRefused, Token
from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.genie.stderr import listening
from npurun_tui.engine.messages import Constraint
from npurun_tui.text import one_line

CALL: Final = "GenieDialog_setGrammar"

IMPOSSIBLE: Final = "}"
"""No JSON value begins with it, nor with white space and it."""

GUIDANCE: Final = {
    # A small model fills the window with line feeds where they are allowed.
    "whitespace_flexible": False,
    "key_separator": ": ",
    "item_separator": ", ",
    # `oneOf` as `anyOf`: who generates cannot know that no other branch fits too. pydantic writes it for unions.
    "coerce_one_of": True,
}
"""Options of llguidance, under its own key in the schema; another compiler ignores the key."""

FORMATS: Final = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uuid",
    }
)
"""Formats of texts that llguidance knows; it refuses the others, which JSON Schema takes for mere notes."""

VALUES: Final = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose values are data and no schemas."""

REMEMBERED: Final = 64
"""Constraints whose proof is remembered."""

_WORDS: Final = re.compile(r"(?:llg error|error parsing grammar|unsupported grammar,)[: ]*(.*)")


class ConstraintRefused(GenieError):
    """llama.cpp does not take the constraint. Over the pipe it is the GenieError that it is."""

    def __init__(self, detail: str) -> None:
        super().__init__(Status.ERROR_JSON_SCHEMA, CALL, detail)


class Constraints:
    """The constraint of one dialog."""

    def __init__(self, tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        self._proven: OrderedDict[str, None] = OrderedDict()
        self._key = ""
        self.fields: dict[str, Any] = {}
        """The part of a completion request that constrains; empty without a constraint."""

    def set(self, constraint: Constraint | None) -> None:
        """Use `constraint`, which is checked already, from now on."""
        if constraint is None:
            self.fields = {}
        elif constraint.json_schema is not None:
            schema = _without_notes(constraint.json_schema)
            self.fields = {"json_schema": {**schema, "x-guidance": GUIDANCE}}
        else:
            self.fields = {"grammar": constraint.grammar}
        self._key = json.dumps(self.fields)

    @property
    def proven(self) -> bool:
        """There is none, or it was found to hold."""
        return not self.fields or self._key in self._proven

    def prove(self, prompt: Sequence[int], stream: CompletionStream) -> None:
        """Try the constraint after the tokens `prompt`, which are in the cache or few. Nothing where it is cancelled.

        Raises:
            ConstraintRefused: with llama.cpp's words.
            ServerFailure: llama.cpp failed otherwise.
        """
        pushed = self._tokenize(IMPOSSIBLE)[-1]
        try:
            with listening() as heard:
                came = [
                    event.token
                    for event in stream.events(_probe(prompt, pushed) | self.fields)
                    if isinstance(event, Token)
                ]
        except RequestRefused as error:
            if error.is_overflow:
                raise
            raise _refused(heard.text, error.message) from error
        if stream.cancelled:
            return
        if "json_schema" in self.fields and pushed in came:
            raise _refused(heard.text, "the schema is not one that can be enforced.")
        self._proven[self._key] = None
        while len(self._proven) > REMEMBERED:
            self._proven.popitem(last=False)


def _without_notes(schema: Any) -> Any:
    """`schema` without the formats that llguidance does not know; one such (`uri`) would have all of it refused."""
    if isinstance(schema, list | tuple):
        return [_without_notes(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: value if key in VALUES else _without_notes(value)
        for key, value in schema.items()
        if not (key == "format" and isinstance(value, str) and value not in FORMATS)
    }


def _probe(prompt: Sequence[int], pushed: int) -> dict[str, Any]:
    return {
        "prompt": list(prompt),
        "n_predict": 1,
        "stream": True,
        "return_tokens": True,
        "cache_prompt": True,
        "id_slot": 0,
        "samplers": ["top_k"],
        "top_k": 1,
        "temperature": 0.0,
        "logit_bias": [[pushed, 1000.0]],
        "response_fields": ["stop_type", "tokens_predicted", "timings"],
    }


def _refused(log: str, otherwise: str) -> ConstraintRefused:
    """The refusal, in llama.cpp's own words where the log has them."""
    found = _WORDS.search(log)
    said = one_line(found[1], 300) if found and found[1] else otherwise
    return ConstraintRefused(said)
