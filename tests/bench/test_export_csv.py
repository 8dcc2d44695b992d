"""CSV: the Rust program's columns first, lines that survive a kill, and files that come back as they were."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.bench.exports.csv_columns import SEED_COLUMNS, guarded, unguarded
from npurun_tui.bench.exports.csv_export import CsvWriter, append_csv, csv_text
from npurun_tui.bench.exports.csv_import import read_csv, read_rows
from npurun_tui.bench.records import Session
from npurun_tui.errors import BenchFileInvalid, DiskFull, UsageError
from npurun_tui.text import printable
from tests.bench import export_sessions as made

RUST = Path(__file__).parent / "fixtures" / "export" / "npurun.csv"
SEED_HEAD = "model,prompt,repeat,ctx,ttft_ms,total_ms,gen_ms,tokens,tps_post_ttft"
KILLED = """
import os, sys
from pathlib import Path
from npurun_tui.bench.exports.csv_export import CsvWriter
from tests.bench import export_sessions as made
writer = CsvWriter(Path(sys.argv[1]))
for run in made.plain(1).runs[:3]:
    writer.write(run, made.NPU)
os._exit(9)  # nothing is flushed or closed
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rounded(session: Session) -> list[tuple[object, ...]]:
    """What a CSV keeps of the runs: three decimals."""
    return [
        (
            run.side,
            run.prompt,
            run.context,
            run.repeat,
            run.warmup,
            round(run.total_ms, 3),
            run.host.decode_tps and round(run.host.decode_tps, 3),
            run.host.ttft_ms and round(run.host.ttft_ms, 3),
            run.engine.decode_tps and round(run.engine.decode_tps, 3),
            run.prompt_tokens,
            run.cached_tokens,
            run.completion_tokens,
            run.outcome,
            run.fault,
            run.turn,
            run.reuse,
            run.max_tokens,
        )
        for run in session.runs
    ]


def test_the_rust_programs_columns_come_first_with_its_decimals() -> None:
    session = made.session(made.run(3, 1.0, prompt='say "a,b"', repeat=1))
    run = session.runs[0]
    head, line = csv_text(session).splitlines()
    assert head.startswith(f"{SEED_HEAD},")
    assert run.host.ttft_ms is not None
    ttft, total = f"{run.host.ttft_ms:.3f}", f"{run.total_ms:.3f}"
    generating = f"{run.total_ms - run.host.ttft_ms:.3f}"
    rate = f"{run.host.decode_tps:.3f}"
    assert line.startswith(
        f'qwen3-4b-2507,"say ""a,b""",2,4096,{ttft},{total},{generating},96,{rate},a,genie,'
    )


@pytest.mark.parametrize("name", ["against", "conversation", "failures", "stress"])
def test_runs_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    session = made.EVERY[name]()
    append_csv(tmp_path / "runs.csv", session)
    rows = read_rows(tmp_path / "runs.csv")
    assert rounded(replace(session, runs=tuple(row.run for row in rows.rows))) == rounded(session)
    assert [row.model for row in rows.rows] == [
        session.side(run.side).model for run in session.runs
    ]
    assert rows.note == ""


def test_what_is_appended_has_one_header(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    append_csv(path, made.plain(1))
    append_csv(path, made.against_cpu(1))
    assert path.read_text(encoding="utf-8").count("tps_post_ttft") == 1
    assert len(read_csv(path)) == 5 + 16
    assert path.read_bytes().count(b"\r") == 0


def test_a_killed_bench_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == 9
    assert [run.prompt for run in read_csv(path)] == ["joke", "joke", "matmul"]


def test_a_line_that_was_cut_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    append_csv(path, made.session(made.run(0, 0.0)))
    path.write_bytes(path.read_bytes()[:-40])
    append_csv(path, made.session(made.run(1, 0.0)))
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_is_a_sentence() -> None:
    with pytest.raises(DiskFull, match="full"):
        append_csv(Path("/dev/full"), made.plain(1))


def test_a_bench_that_measures_nothing_leaves_no_file_and_changes_none(tmp_path: Path) -> None:
    path, cut = tmp_path / "runs.csv", tmp_path / "cut.csv"
    cut.write_text(f"{SEED_HEAD}\nm,joke,1")
    for each in (path, cut):
        with CsvWriter(each):
            pass
    assert list(tmp_path.iterdir()) == [cut]
    assert cut.read_text() == f"{SEED_HEAD}\nm,joke,1"


def test_two_benches_into_one_new_file_share_its_header(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    with CsvWriter(path) as one, CsvWriter(path) as other:
        one.write(made.run(0, 0.0), made.NPU)
        other.write(made.run(1, 0.0), made.NPU)
    assert len(rows_of(path)) == 2


@pytest.mark.skipif(os.name == "nt", reason="named pipes are POSIX")
def test_a_pipe_is_written_from_the_beginning_to_the_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        append_csv(pipe, made.plain(1))
        assert os.read(reader, 1 << 16).decode().startswith(SEED_HEAD)
    finally:
        os.close(reader)


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder .*missing.* Make it first\."):
        CsvWriter(tmp_path / "missing" / "runs.csv")
    assert not (tmp_path / "missing").exists()
    with pytest.raises(UsageError, match="is a folder"):
        CsvWriter(tmp_path)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    path.write_text("name,street\nA,B\n")
    with pytest.raises(UsageError, match="no CSV of a bench"):
        CsvWriter(path)
    assert path.read_text() == "name,street\nA,B\n"


def test_a_file_of_the_rust_program_goes_on_in_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(RUST.read_bytes())
    append_csv(path, made.session(made.run(0, 0.0, repeat=4)))
    last = rows_of(path)[-1]
    assert list(last) == list(SEED_COLUMNS)
    assert (last["model"], last["repeat"], last["tokens"]) == ("qwen3-4b-2507", "5", "96")


def test_what_the_rust_programs_columns_cannot_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(RUST.read_bytes())
    before = len(rows_of(path))
    warm, cut = made.run(0, 0.0, warmup=True), made.run(1, 0.0, outcome="aborted")
    append_csv(path, made.session(warm, cut, made.run(2, 0.0, repeat=6)))
    assert [line["repeat"] for line in rows_of(path)[before:]] == ["7"]


def test_columns_of_a_newer_version_stay_empty(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{SEED_HEAD},side,tomorrow,outcome\n")
    append_csv(path, made.session(made.run(0, 0.0)))
    assert rows_of(path)[0]["tomorrow"] == ""
    assert rows_of(path)[0]["outcome"] == "length"


# --- the Rust program's files --------------------------------------------------------------------


def test_the_rust_programs_file_is_read() -> None:
    read = read_rows(RUST)
    runs = [row.run for row in read.rows]
    assert {row.model for row in read.rows} == {"phi-3.5-mini"}
    assert "estimates" in read.note
    second = runs[1]
    assert second.prompt == 'Briefly explain "why", in a word'
    assert (second.repeat, second.context, second.completion_tokens) == (0, 4096, 83)
    assert (second.host.ttft_ms, second.total_ms, second.host.decode_tps) == (
        105.002,
        7123.456,
        11.826,
    )
    assert second.prompt_tokens is None
    assert runs[2].prompt == "two\nlines"
    assert runs[3].prompt == "-17 plus 23"
    assert (runs[3].outcome, runs[3].host.decode_tps) == ("empty", None)


def test_the_first_query_of_each_of_its_benches_is_a_warm_up() -> None:
    """As in the Rust program's own figures; a bench of one query keeps it."""
    warm = [run.warmup for run in read_csv(RUST)]
    assert warm == [True, False, False, False, False, True, False]


def test_the_same_bench_again_begins_with_a_warm_up(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    lines = [f"m,{prompt},1,512,1.0,2.0,1.0,5,5.0" for prompt in ("p", "q")]
    path.write_text("\n".join([SEED_HEAD, *lines, *lines]) + "\n")
    assert [run.warmup for run in read_csv(path)] == [True, False, True, False]


def test_lines_of_the_rust_program_under_our_header(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    append_csv(path, made.session(made.run(0, 0.0, repeat=2)))
    with path.open("a") as file:
        file.write("phi,hello,1,512,10.000,1010.000,1000.000,12,12.000\n")
    ours, theirs = read_rows(path).rows
    assert (ours.run.outcome, theirs.run.outcome) == ("length", "stop")
    assert (theirs.model, theirs.run.host.decode_tps) == ("phi", 12.0)
    assert "estimates" in read_rows(path).note


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no CSV of a bench"),
        ("a,b\n1,2\n", "no CSV of a bench"),
        (f"{SEED_HEAD}\nm,p,1,512,abc,2,1,5,5\n", "line 2: ttft_ms cannot be abc"),
        (f"{SEED_HEAD}\nm,p,1,512,nan,2,1,5,5\n", "ttft_ms cannot be nan"),
        (f"{SEED_HEAD}\nm,p,1,512,-1,2,1,5,5\n", "ttft_ms cannot be -1"),
        (f"{SEED_HEAD}\nm,p,1,512,1e999,2,1,5,5\n", "ttft_ms cannot be 1e999"),
        (f"{SEED_HEAD}\nm,p,1\n", "3 cells, where 9 belong"),
        (f'{SEED_HEAD}\nm,"p,1,512,1,2,1,5,5\n', "line 2"),
        (f"{SEED_HEAD}\nm,{'x' * 200_000},1,512,1,2,1,5,5\n", "line 2"),
        (f"{SEED_HEAD},outcome\nm,p,1,512,1,2,1,5,5,\x1b[31mgone\n", "outcome cannot be ␛"),
    ],
)
def test_what_cannot_be_is_one_sentence(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchFileInvalid) as caught:
        read_csv(path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchFileInvalid, match="UTF-8"):
        read_csv(path)
    with pytest.raises(BenchFileInvalid, match="could not be read"):
        read_csv(tmp_path / "missing.csv")


# --- formulas ------------------------------------------------------------------------------------


def test_no_text_begins_as_a_formula(tmp_path: Path) -> None:
    append_csv(tmp_path / "runs.csv", made.hostile())
    for row in rows_of(tmp_path / "runs.csv"):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    with CsvWriter(tmp_path / "one.csv") as writer:
        writer.write(made.run(0, 0.0, prompt="@SUM(1)"), replace(made.NPU, model="=cmd|' /C'!A0"))
    assert rows_of(tmp_path / "one.csv")[0]["model"] == "'=cmd|' /C'!A0"
    (back,) = read_rows(tmp_path / "one.csv").rows
    assert (back.model, back.run.prompt) == ("=cmd|' /C'!A0", "@SUM(1)")


@given(st.text(st.sampled_from("'=+-@ab \n")))
def test_a_guard_is_taken_off_exactly(text: str) -> None:
    assert unguarded(guarded(text)) == printable(text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_comes_back_through_a_line(model: str, prompt: str) -> None:
    session = made.session(made.run(0, 0.0, prompt=prompt), sides=(replace(made.NPU, model=model),))
    row = next(iter(csv.DictReader(io.StringIO(csv_text(session), newline=""))))
    assert unguarded(row["prompt"]) == printable(prompt)
    assert unguarded(row["model"]) == printable(model)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Exception, match="could not be written"):
        CsvWriter(tmp_path / "runs.csv")
