"""What a plan may be, and what it comes to."""

from __future__ import annotations

import json
import math

import pytest

from npurun_tui.bench.plan import MAX_RUNS, Plan, checked, document_of
from npurun_tui.bench.prompts import BUILT_IN
from npurun_tui.errors import UsageError


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (Plan(repeats=0), "repeat"),
        (Plan(repeats=-3), "repeat"),
        (Plan(repeats=MAX_RUNS), "runs"),
        (Plan(warmups=-1), "warm-up"),
        (Plan(outputs=()), "limit"),
        (Plan(outputs=(16, 0)), "limit"),
        (Plan(contexts=()), "window"),
        (Plan(contexts=(-512,)), "window"),
        (Plan(lengths=(32, -1)), "length"),
        (Plan(lengths=(10**9,)), "length"),
        (Plan(turns=-1), "turns"),
        (Plan(prompts=("joke", " \n")), "empty"),
        (Plan(duration_s=86_401), "24 hours"),
        (Plan(duration_s=-1), "24 hours"),
        (Plan(duration_s=math.nan), "24 hours"),
        (Plan(duration_s=math.inf), "24 hours"),
        (Plan(idle_s=math.nan), "idle"),
        (Plan(idle_s=-1), "idle"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(plan: Plan, word: str) -> None:
    with pytest.raises(UsageError, match=word) as refused:
        checked(plan)
    assert refused.value.message.endswith(".")


def test_what_is_named_twice_is_asked_once() -> None:
    plan = checked(Plan(prompts=("joke", "Hi", "joke"), outputs=(8, 8), contexts=(0, 512, 0)))
    assert plan.prompts == ("joke", "Hi")
    assert plan.outputs == (8,)
    assert plan.contexts == (0, 512)


def test_the_runs_of_a_plan() -> None:
    assert Plan().runs == len(BUILT_IN) * 3
    plan = Plan(prompts=("joke",), lengths=(32, 64), outputs=(8, 16), contexts=(512, 1024), turns=4)
    assert plan.questions == (3 + 2 * 4) * 2
    assert plan.runs == plan.questions * 2 * 3
    assert Plan(turns=2).questions == 4, "a conversation alone asks no prompts besides"


def test_a_plan_is_json() -> None:
    plan = Plan(prompts=("joke",), lengths=(32, 0))
    document = json.loads(json.dumps(document_of(plan)))
    assert document["prompts"] == ["joke"]
    assert document["lengths"] == [32, 0]
    assert document["repeats"] == 3
