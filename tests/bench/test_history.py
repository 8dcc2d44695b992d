"""Benches survive being kept and read again, and what is damaged spoils nothing else."""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from npurun_tui.bench.history import SAMPLES, History, Unreadable, thinned
from npurun_tui.bench.records import Energy, Sample
from npurun_tui.errors import StorageError
from npurun_tui.screens import bench_words
from npurun_tui.storage.database import Database
from npurun_tui.storage.schema import MIGRATIONS
from tests.support.bench_sessions import BASELINE, SIDE, a_run, a_session

HOSTILE = "ESC \x1b[2J, [red]markup[/red], emoji 🦙, RTL \u202e, a quote ' and \r\n lines"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "npurun-tui.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path)
    yield history
    history.close()


def write_document(path: Path, session: str, document: bytes) -> None:
    """Put another document in a kept session's place, as damage or another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bench SET document = ? WHERE session = ?", (document, session))


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path, path: Path) -> None:
    History(path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_session_comes_back_as_it_was(path: Path, history: History) -> None:
    session = a_session(
        rates=(50.0, 51.5),
        sides=(SIDE, BASELINE),
        energy=(Energy("a", "RAPL", 4.0, 9.0, 60.0, 128, 0.47, 0.02, 12.0, "short"),),
        notes=(HOSTILE,),
        complete=False,
        reason="stopped",
    )
    history.add(session)
    history.close()
    again = History(path)
    assert again.get(session.id) == session
    again.close()


def test_the_list_has_the_figures_of_the_runs_that_count(history: History) -> None:
    history.add(a_session("aa11", rates=(40.0, 60.0, 50.0)), "before the update")
    history.add(a_session("bb22", sides=(SIDE, BASELINE), complete=False))
    newest, oldest = history.list()
    assert (oldest.id, oldest.name, oldest.decode_tps, oldest.ttft_ms) == (
        "aa11",
        "before the update",
        50.0,
        40.0,
    )
    assert (oldest.runs, oldest.complete, oldest.baseline) == (3, True, "")
    assert (newest.complete, newest.baseline) == (False, BASELINE.label)
    assert history.list(1) == [newest]


def test_a_session_without_a_single_answer_is_kept(history: History) -> None:
    history.add(a_session("dead", runs=(), complete=False, reason="it crashed"))
    (line,) = history.list()
    assert (line.decode_tps, line.ttft_ms, line.runs) == (None, None, 0)
    assert history.get("1").reason == "it crashed"


def test_the_list_can_be_of_one_model(history: History) -> None:
    history.add(a_session("aa"))
    history.add(a_session("bb", sides=(replace(SIDE, model="other"),)))
    assert [line.id for line in history.list(model="other")] == ["bb"]
    assert history.list(model="nothing") == []


def test_what_is_kept_again_replaces_itself(history: History) -> None:
    history.add(a_session("aa", rates=(40.0,)))
    history.add(a_session("bb"))
    history.add(a_session("aa", rates=(44.0,)))
    assert [(line.id, line.decode_tps) for line in history.list()] == [("bb", 50.0), ("aa", 44.0)]


def test_a_session_is_named_by_id_beginning_or_number(history: History) -> None:
    for name in ("abc1", "abd2", "1234567"):
        history.add(a_session(name))
    assert history.id_of("abd2") == history.id_of("ABD") == history.id_of("2") == "abd2"
    assert history.id_of("12345") == "1234567"  # too long for a number
    for wrong, words in (
        ("ab", "More than one"),
        ("zz", "No kept bench"),
        ("", "No kept bench"),
        ("4", "number 4"),
        ("0", "number 0"),
        ("%", "No kept bench"),
        ("٣", "No kept bench"),
    ):
        with pytest.raises(StorageError, match=words):
            history.get(wrong)


def test_an_id_that_others_begin_with_is_itself(history: History) -> None:
    history.add(a_session("abc"))
    history.add(a_session("abcd"))
    assert history.id_of("abc") == "abc"


def test_what_is_removed_is_gone(history: History) -> None:
    history.add(a_session("aa"))
    history.add(a_session("bb"))
    assert history.remove("2") == "aa"
    assert [line.id for line in history.list()] == ["bb"]
    with pytest.raises(StorageError):
        history.remove("aa")


def test_only_the_newest_stay(path: Path) -> None:
    history = History(path, kept=3)
    for number in range(5):
        history.add(a_session(f"id{number}"))
    assert [line.id for line in history.list()] == ["id4", "id3", "id2"]
    history.remove("id3")
    history.add(a_session("id5"))
    assert [line.id for line in history.list()] == ["id5", "id4", "id2"]
    history.close()


def test_many_samples_are_thinned_evenly(history: History) -> None:
    samples = tuple(Sample(at_s=float(i)) for i in range(10 * SAMPLES))
    history.add(a_session("aa", samples=samples))
    kept = history.get("aa").samples
    assert len(kept) == SAMPLES
    assert (kept[0], kept[-1]) == (samples[0], samples[-1])
    gaps = {round(b.at_s - a.at_s) for a, b in itertools.pairwise(kept)}
    assert gaps <= {9, 10, 11}
    assert thinned(samples[:SAMPLES]) == samples[:SAMPLES]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"format": 1}',
        b'{"format": 1, "session": {}}',
        b'{"format": 1, "session": {"id": 5}}',
        b'{"format": 1e999, "session": {}}',
        b'{"format": 1, "session": ' + b'{"plan":' * 100_000 + b"}" * 100_001,
    ],
)
def test_a_damaged_session_is_one_sentence_and_the_list_works(
    path: Path, history: History, document: bytes
) -> None:
    history.add(a_session("aa"))
    history.add(a_session("bb"))
    write_document(path, "bb", document)
    with pytest.raises(
        Unreadable, match=r"^The kept bench bb is damaged: [^\n]+rm bb` removes it\.$"
    ):
        history.get("bb")
    assert [line.id for line in history.list()] == ["bb", "aa"]
    assert history.like(a_session("cc")) == history.get("aa")
    history.remove("bb")


def test_a_session_whose_runs_belong_to_nobody_is_damaged(path: Path, history: History) -> None:
    history.add(a_session("aa", runs=(a_run(side="z"),)))
    with pytest.raises(Unreadable, match="names a side 'z'"):
        history.get("aa")


def test_a_newer_version_is_named_and_its_new_fields_do_not_matter(
    path: Path, history: History
) -> None:
    history.add(a_session("aa"))
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT document FROM bench").fetchone()
    document = json.loads(text)
    document["session"]["mood"] = "good"
    document["session"]["runs"][0]["moon"] = "full"
    write_document(path, "aa", json.dumps(document).encode())
    assert history.get("aa") == a_session("aa")
    document["format"] = 2
    write_document(path, "aa", json.dumps(document).encode())
    with pytest.raises(Unreadable, match="newer version"):
        history.get("aa")


def test_hostile_texts_are_kept_and_listed_in_one_line(history: History) -> None:
    side = replace(SIDE, model=HOSTILE, device=HOSTILE)
    session = a_session("aa", sides=(side,), runs=(a_run(prompt=HOSTILE),))
    history.add(session, HOSTILE)
    assert history.get("aa") == session
    (line,) = history.list()
    for text in (line.model, line.device, line.name):
        assert "\x1b" not in text
        assert "\n" not in text


def test_half_an_emoji_does_not_lose_the_session(history: History) -> None:
    half = "\ud83e"
    history.add(a_session("aa", sides=(replace(SIDE, model=half),), notes=(half,)), half)
    assert history.get("aa").notes == ("?",)
    assert history.list()[0].model == "?"


def test_the_last_that_asked_the_same_is_found(history: History) -> None:
    plan = a_session().plan
    history.add(a_session("aa"))
    history.add(a_session("bb", plan={**plan, "outputs": [64]}))
    history.add(a_session("cc", sides=(replace(SIDE, model="other"),)))
    more = a_session("dd", plan={**plan, "repeats": 9, "energy": False})
    found = history.like(more)
    assert found is not None
    assert found.id == "aa"
    history.add(more)
    assert history.like(more) == found  # never itself
    assert history.like(a_session("ee", plan={"prompts": ["new"]})) is None


def test_the_one_before_is_of_the_same_model_and_rather_asked_the_same(history: History) -> None:
    plan = a_session().plan
    history.add(a_session("aa"))
    history.add(a_session("bb", plan={**plan, "outputs": [64]}))
    history.add(a_session("cc", sides=(replace(SIDE, model="other"),)))
    history.add(a_session("dd"))
    names = {}
    for name in ("aa", "bb", "cc", "dd"):
        before = history.before(history.get(name))
        names[name] = before.id if before else None
    assert names == {"aa": None, "bb": "aa", "cc": None, "dd": "aa"}


def test_threads_may_share_it(history: History) -> None:
    def add(number: int) -> None:
        history.add(a_session(f"id{number}"))
        history.list()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {line.id for line in history.list()} == {f"id{number}" for number in range(8)}


def test_a_database_of_the_version_before_gains_the_table(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def creates(statements: tuple[str, ...]) -> bool:
        return any("CREATE TABLE bench" in statement for statement in statements)

    (version,) = [i for i, statements in enumerate(MIGRATIONS) if creates(statements)]
    with monkeypatch.context() as patched:
        patched.setattr("npurun_tui.storage.database.MIGRATIONS", MIGRATIONS[:version])
        old = Database(path)
        old.connection().execute(
            "INSERT INTO chat (title, model, settings, created, updated) VALUES ('t', 'm', '', 0, 0)"
        )
        old.close()
    history = History(path)
    history.add(a_session("aa"))
    assert history.get("aa") == a_session("aa")
    history.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT title FROM chat").fetchall() == [("t",)]


def test_what_was_stopped_before_its_first_answer_is_compared_with_nothing(
    history: History,
) -> None:
    history.add(a_session("aa"))
    history.add(a_session("bb", runs=()))
    new = a_session("cc")
    history.add(new)
    assert [found.id for found in (history.like(new), history.before(new)) if found] == ["aa"] * 2


def test_a_session_of_no_time_is_damaged_and_can_be_listed(history: History) -> None:
    history.add(a_session("aa", began=1e18))
    with pytest.raises(Unreadable, match="it began at no time"):
        history.get("aa")
    [line] = history.list()
    assert bench_words.when(line.began) == "?"
