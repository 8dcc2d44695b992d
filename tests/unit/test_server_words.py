"""The Server tab's words and figures, without a terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.screens.server_entry import LISTED, Entry, doing, facts_of, run_lines, span
from npurun_tui.screens.server_fields import as_texts, keep_alive_text
from npurun_tui.screens.server_folding import folded
from npurun_tui.screens.server_rates import STEP, STEPS, token_rates
from npurun_tui.screens.server_state import RequestsState, Seen
from npurun_tui.screens.server_words import access_words, address_of, bar_words, reach_words
from npurun_tui.server.address import parse_bind
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.keepalive import parse_keep_alive
from npurun_tui.server.log import RequestLog, row_of
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.state import ServerState, ServerStatus
from npurun_tui.storage.requests import RequestRow

NOW = 1_800_000_000.0
HASH = b"x" * 32
HERE = ServerConfig()
EVERYWHERE = ServerConfig(host="0.0.0.0", insecure=True)


def answered(ago: float, ttft: float, total: float, tokens: int) -> RequestRow:
    record = RequestRecord(began=NOW - ago, ttft_ms=ttft * 1000, total_ms=total * 1000)
    record.completion_tokens = tokens
    return row_of(record)


def test_an_answers_tokens_are_spread_from_its_first_to_its_end() -> None:
    rates = token_rates([answered(ago=40, ttft=10, total=30, tokens=100)], NOW)
    assert len(rates) == STEPS
    assert rates[-6:] == pytest.approx([5.0, 5.0, 5.0, 5.0, 0.0, 0.0])
    assert sum(rates) * STEP == pytest.approx(100)


def test_what_lies_before_the_plot_is_not_in_it() -> None:
    half = answered(ago=STEPS * STEP + 10, ttft=0, total=20, tokens=100)
    assert sum(token_rates([half], NOW)) * STEP == pytest.approx(50)
    assert sum(token_rates([replace(half, began=0.0)], NOW)) == 0


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1.5, 45.0, 300.0, 5400.0, 7200.0])
def test_keep_alive_is_read_as_it_is_written(seconds: float) -> None:
    assert parse_keep_alive(keep_alive_text(seconds)) == seconds


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "box.lan"])
def test_an_address_is_read_as_it_is_written(host: str) -> None:
    config = ServerConfig(host=host, port=8080)
    assert parse_bind(as_texts(config)["bind"]) == (host, 8080)


def test_who_may_ask_in_words() -> None:
    assert access_words(HERE) == "no token: every program on this machine may ask"
    assert access_words(EVERYWHERE).startswith("✗ NO TOKEN")
    both = replace(HERE, infer_token=HASH, admin_token=HASH)
    assert access_words(both) == "token asked; admin token asked for pull and delete"
    assert access_words(replace(EVERYWHERE, admin_token=HASH)).startswith("no token to ask")
    assert reach_words(replace(HERE, tls_cert=Path("c.pem"))) == "this machine only, TLS"
    assert reach_words(EVERYWHERE) == "on 0.0.0.0, no TLS: readable on the way"
    assert address_of(EVERYWHERE) == "http://127.0.0.1:11435"
    assert address_of(ServerConfig(host="::1")) == "http://[::1]:11435"


def test_the_status_bar_names_the_port() -> None:
    running = ServerStatus(ServerState.RUNNING, "https://[::1]:8443")
    assert bar_words(running) == "serving :8443"
    assert bar_words(ServerStatus()) == ""


def test_what_is_done_in_words() -> None:
    record = RequestRecord(phase="queued", ahead=2)
    assert doing(record) == "queued 2"
    record.phase, record.read = "prefill", 0.404
    assert doing(record) == "reading 40 %"


def test_what_has_ended_is_not_live_as_well(tmp_path: Path) -> None:
    state = RequestsState(RequestLog(tmp_path / "log.db"))
    for key in "ab":
        state.log.opened(RequestRecord(id=key, phase="decode"))
    row = row_of(RequestRecord(id="a", status=200, outcome="stop"))
    state.take(Seen([row]), "")
    assert list(state.entries) == ["b", "a"]
    assert [entry.state for entry in state.entries.values()] == ["▶ writing", "✓ 200 stop"]


def ended(*requests: tuple[str, int], words: str = "", **values: Any) -> dict[str, Entry]:
    """What is shown of these ids and statuses, which began in this order and ended in the other one."""
    state = RequestsState(RequestLog(Path("nothing is written")))
    rows = [
        row_of(RequestRecord(id=key, began=began, status=status, client=key[0], **values))
        for began, (key, status) in enumerate(requests)
    ]
    state.take(Seen(rows), words)
    assert state.look() is False
    return state.entries


def test_the_newest_to_begin_is_first_whichever_ended_last() -> None:
    assert list(ended(("a", 200), ("b", 200), ("c", 200))) == ["c", "b", "a"]


def test_refusals_that_follow_each_other_are_one_row_for_each_client() -> None:
    flood = [("a1", 429), ("b1", 429), ("a2", 429), ("b2", 429), ("a3", 429)]
    shown = ended(("x", 200), *flood, ("y", 200), ("a4", 429), ("z", 200))
    assert [(key, entry.state) for key, entry in shown.items()] == [
        ("z", "✓ 200"), ("a4", "✗ 429"), ("y", "✓ 200"), ("a1", "✗ 429 ×3"), ("b1", "✗ 429 ×2"), ("x", "✓ 200"),
    ]  # fmt: skip
    assert [row.request_id for row in shown["a1"].run] == ["a3", "a2", "a1"]
    assert shown["a1"].row.request_id == "a3"
    facts = dict(facts_of(shown["a1"]))
    assert facts["Refused"].startswith("3 times, ")
    assert [line.split()[-1] for line in run_lines(shown["a1"].run)] == ["a3", "a2", "a1"]
    # The same row, while more come to it.
    assert ended(("x", 200), *flood, ("a5", 429))["a1"].state == "✗ 429 ×4"


def test_two_machines_with_the_same_program_are_two_rows() -> None:
    told = [("near", "10.0.0.1"), ("far", "10.0.0.2"), ("near again", "10.0.0.1")]
    refused = [
        Entry(row_of(RequestRecord(id=key, client="openai/1", peer=peer, status=429)))
        for key, peer in reversed(told)
    ]
    assert {key: entry.state for key, entry in folded(refused).items()} == {
        "near": "✗ 429 ×2",
        "far": "✗ 429",
    }


def test_a_filter_shows_each_refusal() -> None:
    assert list(ended(("a1", 429), ("a2", 429), words="429")) == ["a2", "a1"]


def test_a_long_run_is_listed_in_part() -> None:
    [entry] = ended(*((f"a{number}", 429) for number in range(2000))).values()
    assert (entry.state, len(entry.cells[5].text)) == ("✗ 429 ×2,000", 12)
    assert run_lines(entry.run)[-1] == "and 1,950 more: the filter 429 shows the newest one by one"
    assert len(run_lines(entry.run)) == LISTED + 1


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (200, "stop", "✓ 200 stop"),
        (200, "", "✓ 200"),
        (200, "The engine died.", "✗ 200 broken"),
        (200, "client left", "✗ client left"),
        (503, "aborted here", "✗ aborted"),
        (429, "The engine is busy.", "✗ 429"),
    ],
)
def test_how_it_ended(status: int, outcome: str, words: str) -> None:
    entry = Entry(row_of(RequestRecord(status=status, outcome=outcome)))
    assert entry.state == words
    assert entry.ok is words.startswith("✓")


@pytest.mark.parametrize(
    ("ms", "words"), [(None, ""), (0.4, "0 ms"), (999.4, "999 ms"), (4210.0, "4.21 s"), (65000.0, "65 s")]
)  # fmt: skip
def test_a_span_fits_its_column(ms: float | None, words: str) -> None:
    assert span(ms) == words
    assert len(span(ms)) <= 6
