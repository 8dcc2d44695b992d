"""`bench --json`: the contract's keys, everything else beside them, and a file that becomes the session again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.bench.compare import compare_sessions
from npurun_tui.bench.exports import export
from npurun_tui.bench.exports.json_export import bench_document, json_text
from npurun_tui.bench.exports.json_import import read_session, session_of
from npurun_tui.bench.records import Clock, Sample
from npurun_tui.errors import BenchFileInvalid
from tests.bench import export_sessions as made

RUN = ("prompt", "prompt_tokens", "cached_tokens", "completion_tokens", "ttft_ms", "prefill_tps")
RUN_KEYS = [*RUN, "decode_tps", "total_ms", "warmup"]
ROUND = sorted(set(made.EVERY) - {"hostile", "thousand"})


def test_the_contract() -> None:
    document = bench_document(made.against_cpu())
    assert list(document)[:7] == [
        "model",
        "backend",
        "device",
        "runtime",
        "runs",
        "summary",
        "energy",
    ]
    assert document["model"] == "qwen3-4b-2507"
    assert (document["backend"], document["runtime"]) == ("genie", "1.21.0")
    assert list(document["runs"][0])[: len(RUN_KEYS)] == RUN_KEYS
    assert [run["warmup"] for run in document["runs"][:5]] == [True] * 4 + [False]
    for name in ("ttft_ms", "decode_tps", "prefill_tps"):
        assert {"p50", "p90", "p99", "min", "max"} <= set(document["summary"][name])
    assert document["energy"]["joules_per_token"] == 1.2664


def test_figures_are_the_hosts_clock_and_the_runtimes_stand_beside() -> None:
    session = made.plain(1)
    shown = bench_document(session)["runs"][1]
    run = session.runs[1]
    assert shown["decode_tps"] == run.host.decode_tps
    assert shown["engine"] == {
        "ttft_ms": run.engine.ttft_ms,
        "prefill_tps": run.engine.prefill_tps,
        "decode_tps": run.engine.decode_tps,
    }


def test_warm_ups_are_shown_and_left_out_of_the_summary() -> None:
    session = made.plain(2)
    document = bench_document(session)
    rates = [run.host.decode_tps for run in session.runs[1:]]
    assert len(document["runs"]) == 9
    assert document["summary"]["decode_tps"]["n"] == 8
    assert document["summary"]["decode_tps"]["min"] == min(rate for rate in rates if rate)


def test_the_baseline_has_a_place_of_its_own() -> None:
    document = bench_document(made.against_cpu())
    assert {run["side"] for run in document["runs"]} == {"a"}
    assert {run["side"] for run in document["baseline"]["runs"]} == {"b"}
    assert document["baseline"]["device"] == "CPU (llama.cpp)"
    assert document["baseline"]["energy"]["warning"] == made.SHORT
    assert 0.35 < document["speedup"]["decode_tps"]["ratio"] < 0.5
    assert document["speedup"]["words"]
    assert bench_document(made.plain(1))["baseline"] is None


def test_without_energy_it_is_null_and_says_why() -> None:
    document = bench_document(made.plain(1))
    assert document["energy"] is None
    assert document["energy_note"].startswith("Not measurable here")


def test_a_comparison_is_in_it() -> None:
    old, new = made.plain(5), made.plain(6)
    document = json.loads(json_text(new, compare_sessions(old, new)))
    assert document["comparison"]["decode_tps"]["verdict"] == "no difference"


def test_what_is_not_finite_is_null() -> None:
    run = replace(made.run(0, 0.0), host=Clock(math.inf, math.nan, 12.0))
    text = json_text(made.session(run, samples=(Sample(1.0, watts=math.nan),)))
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["runs"][0]["ttft_ms"] is None
    assert document["samples"][0]["watts"] is None


@pytest.mark.parametrize("name", ROUND)
def test_a_session_comes_back_equal(name: str, tmp_path: Path) -> None:
    session = made.EVERY[name]()
    export(session, tmp_path / "bench.json")
    assert read_session(tmp_path / "bench.json") == session


def test_hostile_texts_come_back_but_for_what_is_no_unicode(tmp_path: Path) -> None:
    session = made.hostile()
    export(session, tmp_path / "bench.json")
    back = read_session(tmp_path / "bench.json")
    assert back.sides[0].model == made.HOSTILE.replace("\ud83d", "?")
    assert len(back.runs) == len(session.runs)


# --- what somebody hands us ----------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_text(made.plain(1)))
    return {**found, **changes}


def changed(path: str, value: object) -> dict[str, Any]:
    """The document with one value changed; `runs.0.turn`."""
    found = document()
    *way, last = path.split(".")
    place: Any = found
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        ([], "has to be a JSON object"),
        ("text", "has to be a JSON object"),
        ({}, "`side` is required"),
        (document(side=3), "`side` must be a string, not a number"),
        (document(model=None), "`model` must be a string"),
        (document(baseline={"side": "b"}), "`baseline.model` is required"),
        (changed("runs.0.ttft_ms", "fast"), "`runs[0].ttft_ms` must be a number or null"),
        (document(form=2), "form 2, and this version reads form 1. Update"),
        (document(form={"a": 1}), "Update"),
        (document(runs={"a": 1}), "`runs` must be an array"),
        (document(runs=[7]), "`runs[0]` must be an object"),
        (document(samples="no"), "`samples` must be an array"),
        (document(began=-1), "`began` is no time"),
        (document(began=1e18), "`began` is no time"),
        (document(seconds=1e300), "`seconds` is too large"),
        (changed("runs.0.total_ms", 1e99), "`runs[0].total_ms` is too large"),
        (changed("runs.0.turn", "one"), "`runs[0].turn` must be a whole number"),
        (changed("runs.0.outcome", "great"), "`runs[0].outcome` cannot be"),
        (changed("runs.0.side", "z"), "`runs` names a side 'z' that is not there"),
        (changed("runs.0.prompt", "x" * (2 << 20)), "too long a text"),
        (document(loads=[{"side": "q", "cold": True, "ms": 1, "context": 0}]), "`loads` names"),
        (document(baseline={**document(), "side": "a"}), "called the same"),
        (document(machine=None), "`machine` must be an object"),
    ],
)
def test_what_is_no_bench_is_one_sentence(hostile: object, reason: str) -> None:
    with pytest.raises(BenchFileInvalid) as caught:
        session_of(hostile)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"runs": NaN}', b'{"runs": ' + b"[" * 100_000],
)
def test_what_is_no_json_is_one_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_bytes(data)
    with pytest.raises(BenchFileInvalid, match=r"bench\.json"):
        read_session(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchFileInvalid, match="could not be read: No such file"):
        read_session(tmp_path / "none.json")


def test_a_file_of_any_size_is_not_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(BenchFileInvalid, match="larger than 67"):
        read_session(path)


def test_fields_of_a_newer_version_are_left_out() -> None:
    found = session_of(document(tomorrow={"a": [1]}))
    assert found == made.plain(1)
