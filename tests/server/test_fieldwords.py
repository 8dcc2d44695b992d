"""What a client is told of a field that is not what it has to be: our own words, the same in every dialect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from npurun_tui.server.fieldwords import field_words
from tests.server.test_site import whole


class One(msgspec.Struct, tag="one", tag_field="type"):
    size: int = 0


class Two(msgspec.Struct, tag="two", tag_field="type"):
    """Another kind."""


class Body(msgspec.Struct):
    """A field of each kind that the routes have."""

    name: str
    count: int = 0
    share: float = 0.0
    on: bool = False
    seed: int | None = None
    stop: str | list[str] | None = None
    mixed: bool | float | str = False
    either: int | float = 0
    choice: Literal["a", "b"] = "a"
    parts: list[One | Two] = []
    options: dict[str, int] = {}
    numbered: dict[int, int] = {}


WORDS = [
    ("[]", "The body must be an object, not an array.", ""),
    ("{}", "`name` is required.", "name"),
    ('{"name": 1}', "`name` must be a string, not a number.", "name"),
    ('{"name": null}', "`name` must be a string, not null.", "name"),
    ('{"count": "9"}', "`count` must be a whole number, not a string.", "count"),
    ('{"count": 1.5}', "`count` must be a whole number, not a fraction.", "count"),
    ('{"count": true}', "`count` must be a whole number, not a boolean.", "count"),
    ('{"share": "hot"}', "`share` must be a number, not a string.", "share"),
    ('{"on": "yes"}', "`on` must be true or false, not a string.", "on"),
    ('{"seed": {}}', "`seed` must be a whole number or null, not an object.", "seed"),
    ('{"stop": 1}', "`stop` must be a string, an array or null, not a number.", "stop"),
    ('{"stop": ["x", 2]}', "`stop[1]` must be a string, not a number.", "stop[1]"),
    ('{"mixed": []}', "`mixed` must be true or false, a number or a string, not an array.", "mixed"),
    ('{"either": "x"}', "`either` must be a number, not a string.", "either"),
    ('{"choice": "z\\u001b"}', "`choice` cannot be 'z\\x1b'.", "choice"),
    ('{"choice": "x - at `$.name`"}', "`choice` cannot be 'x - at `$.name`'.", "choice"),
    ('{"numbered": {"x": 1}}', "`numbered` must be a whole number, not a string.", "numbered"),
    ('{"parts": [{}]}', "`parts[0].type` is required.", "parts[0].type"),
    ('{"parts": [{"type": "x"}]}', "`parts[0].type` cannot be 'x'.", "parts[0].type"),
    ('{"parts": [{"type": 1}]}', "`parts[0].type` must be a string.", "parts[0].type"),
    ('{"parts": [{"type": "one", "size": ""}]}',
     "`parts[0].size` must be a whole number, not a string.", "parts[0].size"),
    ('{"options": {"a": "x"}}', "`options[...]` must be a whole number, not a string.", "options[...]"),
    ('{"share": 1e999}', "`share` is too large a number.", "share"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text", "path"), WORDS)
def test_what_msgspec_says_becomes_a_sentence(body: str, text: str, path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.json.decode(body, type=Body)
    assert field_words(str(fault.value))[:2] == (text, path)


@pytest.mark.parametrize("said", ["", "Something new", "Expected `int` >= 1", "\x1b[2J", "`"])
def test_what_is_not_known_still_names_the_field(said: str) -> None:
    words = field_words(f"{said} - at `$.count`")
    assert words == ("`count` has a value that cannot be taken here.", "count", False)


HI: list[dict[str, Any]] = [{"role": "user", "content": "x"}]


async def test_every_dialect_says_the_same(tmp_path: Path) -> None:
    asks = (
        ("/v1/chat/completions", "max_tokens", {"messages": HI}),
        ("/v1/completions", "max_tokens", {"prompt": "x"}),
        ("/v1/responses", "max_output_tokens", {"input": "x"}),
        ("/v1/messages", "max_tokens", {"messages": HI}),
    )
    async with whole(tmp_path) as client:
        for path, field, more in asks:
            answer = await client.post(path, json={"model": "small", field: "9", **more})
            assert answer.status_code == 400
            text = answer.json()["error"]["message"]
            assert re.match(rf"`{field}` must be a (whole )?number", text), path
            assert text.endswith(", not a string."), path
        answer = await client.post("/api/chat", json={"model": "small", "messages": "x"})
        told = {"error": "`messages` must be an array or null, not a string."}
        assert (answer.status_code, answer.json()) == (400, told)
        answer = await client.post(
            "/v1/chat/completions", json={"model": "small", "messages": [{}]}
        )
        assert answer.json()["error"]["param"] == "messages[0].role"
