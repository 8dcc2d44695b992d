"""What every dialog refuses in the same way, whatever engine is behind it: Genie's status for arguments that mean
nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from npurun_tui.engine.dialog import GenieError, Sampler, SentenceCode, Status
from npurun_tui.engine.messages import Constraint
from npurun_tui.engine.plain import plain
from npurun_tui.errors import EngineError

_NO_QUERIES: Final = (SentenceCode.ABORT, SentenceCode.RESUME)
_NEED_TEXT: Final = (SentenceCode.COMPLETE, SentenceCode.REWIND)

QUERY: Final = "GenieDialog_query"

MOST_PENALTY: Final = 2.0
"""Of presence and frequency penalties, to either side: OpenAI's range."""

MOST_CONSTRAINT: Final = 256 << 10
"""Characters of a schema or a grammar."""

MOST_ITEMS: Final = 20_000
"""All that a schema's `minItems` and `maxItems` count: each is a rule, and half a million take minutes to compile."""


def check_sampler(sampler: Sampler) -> None:
    """Raise GenieError -9 for settings that mean nothing."""
    wrong = (
        not math.isfinite(sampler.temperature)
        or not 0 < sampler.top_p <= 1
        or sampler.top_k < 0
        or not (math.isfinite(sampler.repetition_penalty) and sampler.repetition_penalty > 0)
        or sampler.penalize_last_n < 0
        or not 0 <= sampler.min_p <= 1
        or not abs(sampler.presence_penalty) <= MOST_PENALTY
        or not abs(sampler.frequency_penalty) <= MOST_PENALTY
    )
    if wrong:
        raise GenieError(
            Status.ERROR_JSON_VALUE, "GenieSampler_applyConfig", "a setting is out of its range."
        )


def check_constraint(constraint: Constraint | None) -> None:
    """Raise GenieError -8 for what is neither a schema nor a grammar, or one that is larger than any in use."""
    if constraint is None:
        return
    schema, grammar = constraint.json_schema, constraint.grammar
    if (schema is None) == (not grammar):
        raise _no_constraint("it takes a schema or a grammar, one of the two.")
    if not isinstance(schema, Mapping | None):
        raise _no_constraint("a schema is a JSON object.")
    if len(grammar) > MOST_CONSTRAINT:
        raise _no_constraint("the grammar is too long.")
    if schema is not None:
        _check_schema(schema)


def _check_schema(schema: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(plain(schema))
    except (EngineError, ValueError) as error:
        raise _no_constraint(str(error)) from error
    if len(text) > MOST_CONSTRAINT:
        raise _no_constraint("the schema is too long.")
    if _items(schema) > MOST_ITEMS:
        raise _no_constraint(f"its lists may have at most {MOST_ITEMS:,} items in all.")


def _items(value: object) -> float:
    """What `minItems` and `maxItems` come to, wherever they are in `value`."""
    if isinstance(value, list | tuple):
        return sum(map(_items, value))
    if not isinstance(value, Mapping):
        return 0
    counts = [value[key] for key in ("minItems", "maxItems") if key in value]
    own = max((count for count in counts if isinstance(count, int | float)), default=0)
    return own + sum(map(_items, value.values()))


def _no_constraint(why: str) -> GenieError:
    return GenieError(Status.ERROR_JSON_SCHEMA, "GenieDialog_setGrammar", why)


def check_stop_sequences(sequences: object) -> None:
    """Raise GenieError -8 for what is no list of texts, -9 for a list with an empty text in it."""
    call = "GenieDialog_setStopSequence"
    if not isinstance(sequences, list | tuple):
        raise GenieError(Status.ERROR_JSON_SCHEMA, call, "it takes a list of texts.")
    if "" in sequences:
        raise GenieError(Status.ERROR_JSON_VALUE, call, "a stop sequence cannot be empty.")


def check_max_tokens(count: int | None) -> None:
    """Raise GenieError -2 for a negative count."""
    if count is not None and count < 0:
        raise GenieError(
            Status.ERROR_INVALID_ARGUMENT, "GenieDialog_setMaxNumTokens", "it cannot be negative."
        )


def check_query(text: str, code: SentenceCode, *, empty: bool) -> None:
    """Raise GenieError -2 for a text or a code that is no query's, -6 for a rewind where the cache is `empty`."""
    invalid = Status.ERROR_INVALID_ARGUMENT
    if code in _NO_QUERIES:
        raise GenieError(invalid, QUERY, f"{code.name} is not for a query.")
    if not text and (code in _NEED_TEXT or (code == SentenceCode.END and empty)):
        raise GenieError(invalid, QUERY, "the prompt is empty.")
    check_encodable(text, QUERY)
    if code == SentenceCode.REWIND and empty:
        raise GenieError(Status.ERROR_QUERY_FAILED, QUERY, "there is nothing to rewind.")


def check_encodable(text: str, call: str) -> None:
    """Raise GenieError -2 for half of a surrogate pair, which no engine can be sent."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise GenieError(Status.ERROR_INVALID_ARGUMENT, call, "the text is not Unicode.") from error


def check_tokens(tokens: object, vocabulary: int) -> None:
    """Raise GenieError -2 for token ids that the vocabulary, of so many tokens, does not have."""
    if isinstance(tokens, list | tuple) and all(0 <= token < vocabulary for token in tokens):
        return
    raise GenieError(
        Status.ERROR_INVALID_ARGUMENT, "GenieTokenizer_decode", "there is no such token."
    )
