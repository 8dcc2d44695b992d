"""What Genie's profile says of the last query. It records events for the profile's whole life; the last one counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """A `GenieDialog_query` event. Times are microseconds."""

    number: int
    """How many such events there are up to this one: it tells this query's from that of one before."""
    prompt_tokens: int
    generated_tokens: int
    ttft_us: int
    generation_us: int


def last_query(data: bytes) -> QueryEvent | None:
    """The last query's event in the JSON of `GenieProfile_getJsonData`; None where there is none, or it is not JSON."""
    try:
        document = json.loads(data.rstrip(b"\x00"))
        events = [
            event
            for component in document["components"] or ()
            for event in component["events"] or ()
            if event["type"] == "GenieDialog_query"
        ]
        if not events:
            return None
        last = events[-1]
        return QueryEvent(
            len(events),
            _number(last, "num-prompt-tokens"),
            _number(last, "num-generated-tokens"),
            _number(last, "time-to-first-token"),
            _number(last, "token-generation-time"),
        )
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        # Figures are worth having, and no reason to lose an answer over.
        return None


def _number(event: dict[str, Any], key: str) -> int:
    return max(0, round(float(event.get(key, {"value": 0})["value"])))
