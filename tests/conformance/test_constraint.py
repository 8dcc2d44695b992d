"""An answer that is held to a schema fits it, and the next one is free again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.dialog import Dialog, GenieError, Sampler, SentenceCode, Status
from npurun_tui.engine.messages import Constraint
from tests.conformance.hearing import CAPITAL, FOX, Ear, ask

CAT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "lives": {"type": "integer", "minimum": 1, "maximum": 9},
        "tame": {"type": "boolean"},
    },
    "required": ["name", "lives", "tame"],
    "additionalProperties": False,
}
YES_OR_NO = Constraint(grammar='root ::= "yes" | "no"')


@pytest.fixture(autouse=True)
def constrains(dialog: Dialog) -> None:
    assert dialog.constrains
    dialog.set_constraint(None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_answer_fits_its_schema(dialog: Dialog, seed: int) -> None:
    dialog.set_sampler(Sampler(temperature=1.2, top_k=0, top_p=1.0, seed=seed))
    dialog.set_constraint(Constraint(json_schema=CAT))
    cat = json.loads(ask(dialog, CAPITAL).text)
    assert sorted(cat) == ["lives", "name", "tame"]
    assert len(cat["name"]) <= 12
    assert cat["lives"] in range(1, 10)
    assert isinstance(cat["tame"], bool)


def test_a_schema_is_on_no_disk_once_it_is_gone(
    dialog: Dialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for constraint in (Constraint(json_schema=CAT), YES_OR_NO):
        dialog.set_constraint(constraint)
        assert len(list(tmp_path.glob("npurun-*"))) <= 1
    dialog.set_constraint(None)
    assert not list(tmp_path.glob("npurun-*"))


def test_the_next_answer_is_free(dialog: Dialog) -> None:
    dialog.set_max_tokens(16)
    free = ask(dialog, CAPITAL).text
    dialog.set_constraint(YES_OR_NO)
    dialog.reset()
    assert ask(dialog, CAPITAL).text in ("yes", "no")
    dialog.set_constraint(None)
    assert ask(dialog, CAPITAL, SentenceCode.REWIND).text == free


def test_a_constraint_outlives_a_reset_and_a_rebuild(dialog: Dialog) -> None:
    dialog.set_constraint(YES_OR_NO)
    for empty in (dialog.reset, dialog.rebuild):
        empty()
        assert ask(dialog, FOX).text in ("yes", "no")


def test_a_choice_of_objects(dialog: Dialog) -> None:
    """What pydantic writes for a union."""
    kinds = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, kind: {"type": "boolean"}},
            "required": ["kind", kind],
            "additionalProperties": False,
        }
        for kind in ("cat", "dog")
    ]
    dialog.set_constraint(Constraint(json_schema={"oneOf": kinds}))
    found = json.loads(ask(dialog, CAPITAL).text)
    assert found.keys() == {"kind", found["kind"]}


def test_any_json_value_where_the_schema_is_empty(dialog: Dialog) -> None:
    dialog.set_constraint(Constraint(json_schema={}))
    dialog.set_max_tokens(1)
    assert ask(dialog, CAPITAL).text[:1] in '{["-0123456789tfn'


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint(json_schema={"type": "nonsense"}),
        Constraint(json_schema={"type": "string", "pattern": "^a(?=b)"}),
        Constraint(json_schema={"$ref": "https://example.com/schema.json"}),
        Constraint(json_schema={"$ref": "#/nowhere"}),
        Constraint(grammar="root = nonsense"),
        Constraint(grammar='root ::= root "a"'),
        Constraint(grammar='start ::= "a"'),
    ],
)
def test_what_cannot_be_enforced_is_refused_before_a_token(
    dialog: Dialog, constraint: Constraint
) -> None:
    first = ask(dialog, CAPITAL).text
    ear = Ear()

    def ask_for_it() -> None:
        dialog.set_constraint(constraint)
        dialog.query(FOX, SentenceCode.REWIND, ear)

    with pytest.raises(GenieError) as caught:
        ask_for_it()
    assert caught.value.status == Status.ERROR_JSON_SCHEMA
    assert "\n" not in str(caught.value)
    assert not ear.text
    dialog.set_constraint(None)
    dialog.rebuild()
    assert ask(dialog, CAPITAL).text == first


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint(),
        Constraint(json_schema={}, grammar='root ::= "a"'),
        Constraint(grammar='root ::= "' + "a" * 300_000 + '"'),
        Constraint(json_schema={"type": "array", "maxItems": 1_000_000}),
        Constraint(json_schema={"enum": ["x" * 300_000]}),
    ],
)
def test_what_means_nothing_or_is_too_large_is_refused_at_once(
    dialog: Dialog, constraint: Constraint
) -> None:
    with pytest.raises(GenieError) as caught:
        dialog.set_constraint(constraint)
    assert caught.value.status == Status.ERROR_JSON_SCHEMA


def test_a_schema_without_a_bottom_is_refused(dialog: Dialog) -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    with pytest.raises(GenieError, match="nested"):
        dialog.set_constraint(Constraint(json_schema=schema))
