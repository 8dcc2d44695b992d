"""`bench` without a bench: what is asked for in words, what is refused before anything is measured, and the commands
that work on what was kept."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from npurun_tui.bench.events import Loaded, Noted, RunBegan, RunEnded, Ticked, Waiting
from npurun_tui.bench.history import History
from npurun_tui.bench.plan import Plan
from npurun_tui.bench.records import NOT_TIMED, Load, Session
from npurun_tui.bench.target import Measured, Progress, Question
from npurun_tui.cli import main
from npurun_tui.commandline import build_parser
from npurun_tui.commandline_bench import with_action
from npurun_tui.commands import bench_lines as lines
from npurun_tui.commands.bench import SWEEP, BenchRequest, Ears, _plan, _run
from npurun_tui.commands.bench_outcome import Outcome, hand_on
from npurun_tui.commands.bench_voice import Voice
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from tests.bench.playing import Played
from tests.support.bench_sessions import BASELINE, SIDE, a_run, a_session
from tests.support.models import add_cpu_model

ESCAPE = "\x1b[2J"


class Keep(Protocol):
    """Keeps sessions."""

    def __call__(self, *sessions: Session) -> None: ...


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """An empty home; the program that a test calls uses it too."""
    monkeypatch.setenv("NPURUN_TUI_HOME", str(tmp_path))
    monkeypatch.delenv("NPURUN_MODELS_DIR", raising=False)
    return Paths.resolve()


@pytest.fixture
def keep(paths: Paths) -> Keep:
    """Keeps sessions, in the order given."""

    def kept(*sessions: Session) -> None:
        history = History(paths.database)
        for session in sessions:
            history.add(session)
        history.close()

    return kept


def kept_ids(paths: Paths) -> list[str]:
    history = History(paths.database)
    try:
        return [line.id for line in history.list()]
    finally:
        history.close()


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["m"], ["run", "m"]),
        (["--json", "m"], ["run", "--json", "m"]),
        (["history"], ["history"]),
        (["run", "history"], ["run", "history"]),
        (["--", "history"], ["run", "--", "history"]),
        (["--help"], ["run", "--help"]),
        ([], ["run"]),
    ],
)
def test_run_is_meant_where_no_action_is_named(words: list[str], meant: list[str]) -> None:
    assert with_action(words) == meant


def test_models_may_be_called_as_actions_are() -> None:
    for words in (["bench", "run", "history"], ["bench", "--", "history"]):
        assert build_parser().parse_args(words).name == "history"
    assert build_parser().parse_args(["bench", "history", "--model", "m"]).of_model == "m"


def test_the_help_is_that_of_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: npurun-tui bench [")
    for word in ("--repeats", "--baseline", "bench history", "bench compare", "bench export"):
        assert word in shown


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("", "NAME"),
        ("m --lengths 1,x", "'1,x' must be a whole number"),
        ("m --lengths max,sweep", "must be a whole number"),
        ("m --outputs 0", "must be a whole number from 1 up"),
        ("m --outputs 8 --max-tokens 8", "not allowed with"),
        ("m --ctx ,", "must be a whole number"),
        ("m --repeats 0", "must be a whole number from 1 up"),
        ("m --duration nan", "must be a number from 1"),
        ("m --prompt=", "must not be empty"),
        ("m --json --markdown -", "cannot both go to stdout"),
        ("m --name words", "Add --save"),
        ("m --report out.pdf", "does not say what to write"),
        ("m --report nowhere/out.svg", "There is no folder"),
        ("m --markdown nowhere/out.md", "There is no folder"),
        ("m --csv nowhere/out.csv", "There is no folder"),
        ("history --limit 0", "must be a whole number from 1 up"),
        (
            "history --repeats 3",
            "Unrecognized arguments: --repeats 3. See `npurun-tui bench history",
        ),
        ("export 1 out.pdf", "does not say what to write"),
        ("m --lengths " + ",".join("1" * 40), "at most 32 numbers"),
    ],
)
@pytest.mark.usefixtures("paths")
def test_what_cannot_be_meant_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: str, part: str
) -> None:
    assert main(["bench", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert len(err.splitlines()) == 1


def test_a_model_that_is_not_here_is_one_sentence(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = paths.models.parent / "runs.csv"
    assert main(["bench", "nothing", "--save", "--csv", str(csv)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "There is no model called nothing" in err
    assert not paths.database.exists()  # nothing was measured, so there is nothing to keep
    assert not csv.exists()


def test_a_baseline_that_is_not_there_costs_no_measurement(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    add_cpu_model(paths.models, "small")  # no engine could load it
    assert main(["bench", "small", "--baseline", "127.0.0.1:1", "--save"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("npurun-tui: The server at http://127.0.0.1:1 cannot be reached")
    assert len(err.splitlines()) == 1
    assert not paths.database.exists()


def test_a_file_that_is_no_csv_of_a_bench_is_not_added_to(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = paths.models.parent / "letter.csv"
    letter.write_text("Dear all,\n")
    assert main(["bench", "m", "--csv", str(letter)]) == 2
    assert "is no CSV of a bench" in capsys.readouterr().err
    assert letter.read_text() == "Dear all,\n"


def test_a_sweep_ends_where_the_window_does(paths: Paths) -> None:
    services = Services(paths, Settings())
    options = build_parser().parse_args(["bench", "m", "--lengths", "sweep", "--ctx", "2048"])
    request = BenchRequest("m", replace(Plan(), contexts=options.ctx), sweep=True)
    assert _plan(request, services).lengths == (32, 128, 512, 0)
    there = replace(request, name="http://127.0.0.1:1", plan=Plan())
    assert _plan(there, services).lengths == tuple(n for n in SWEEP if n < 4096)


# --- rows --------------------------------------------------------------------------------------


def test_a_row_has_both_clocks_and_marks_a_warm_up() -> None:
    heads, row = lines.row_heads(sides=False), lines.row(a_run(52.25, 41.0), sides=False)
    assert heads.split() == ["PROMPT", "IN", "OUT", "TTFT", "TOK/S", "ENGINE"]
    assert row.split() == ["joke", "40", "128", "41.0", "ms", "52.2", "52.4"]
    assert lines.row(a_run(warmup=True), sides=False).endswith(" warm-up")
    assert lines.row(a_run(side="b"), sides=True).startswith("b joke")


def test_rows_are_aligned_under_their_heads() -> None:
    heads = lines.row_heads(sides=True)
    for run in (a_run(), a_run(5.0, 12_345.0, prompt="x" * 500), a_run(1234.5)):
        row = lines.row(run, sides=True)
        assert len(row) <= 80
        assert row.index("128") + 3 == heads.index("OUT") + 3


def test_what_was_not_measured_is_a_dash_and_says_why() -> None:
    dead = a_run(
        host=NOT_TIMED,
        engine=NOT_TIMED,
        prompt_tokens=None,
        completion_tokens=0,
        outcome="failed",
        fault=f"It {ESCAPE} died.",
    )
    row = lines.row(dead, sides=False)
    assert row.split()[:6] == ["joke", "-", "0", "-", "-", "-"]
    assert row.endswith("died.")
    assert "\x1b" not in row
    assert lines.row(replace(dead, outcome="empty"), sides=False).endswith("no answer")
    assert lines.row(replace(dead, outcome="aborted"), sides=False).endswith("stopped")


def test_turns_say_whether_the_cache_was_kept() -> None:
    kept = a_run(turn=2, reuse=True, cached_tokens=30)
    assert lines.row(kept, sides=False).startswith("turn 2, kept ")
    assert lines.row(kept, sides=False).endswith("30 cached")
    assert lines.row(a_run(turn=2), sides=False).startswith("turn 2, reset ")


def test_of_several_windows_each_row_names_its_own() -> None:
    assert lines.row(a_run(), sides=False, contexts=True).startswith("joke, ctx 2048 ")
    long = lines.row(a_run(prompt="x" * 99, context=32_768), sides=True, contexts=True)
    assert "xx…, ctx 32768 " in long
    assert len(long) <= 80


def test_the_header_is_the_rust_program_s() -> None:
    assert lines.header(SIDE) == "== npurun bench: smollm2 (llama.cpp, Q4_K_M, ctx 2048) =="
    assert lines.header(BASELINE) == "== npurun bench: other (openai) =="


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


BEGAN = RunBegan("a", "joke", 2048, 0, warmup=False, turn=0, done=1, of=4)
TICKED = Ticked(1.0, 37, 40.0, 51.0)
HEARD = (
    Waiting(1, "chat"),
    Loaded(SIDE, Load("a", cold=True, ms=800.0, context=2048)),
    BEGAN,
    Ticked(0.5, 0, None, None),
    TICKED,
    RunEnded(a_run()),
    Noted("Left out."),
)


def test_a_terminal_has_a_line_that_changes_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    voice = Voice(rows=True, sides=False)
    for event in HEARD:
        voice.hear(event)
    voice.hear(TICKED)
    voice.end()
    shown = screen.getvalue()
    assert "waiting: chat has the permit, 1 ahead" in shown
    assert "run 2 of 4: joke, reading" in shown
    assert "0 tokens" not in shown
    assert "run 2 of 4: joke, 37 tokens, 51.0 tok/s, TTFT 40 ms" in shown
    assert shown.endswith("\r\x1b[K")
    assert capsys.readouterr().out.splitlines() == [
        lines.row_heads(sides=False),
        lines.row(a_run(), sides=False),
    ]


def test_a_wait_in_an_endpoints_line_is_shown_until_the_answer_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    voice = Voice(rows=False, sides=False)
    for event in (BEGAN, Waiting(1, "others at there:80"), Ticked(0.5, 0, None, None)):
        voice.hear(event)
    shown = screen.getvalue().rsplit("\x1b[K", 1)[1]
    assert shown == "waiting: others at there:80 has the permit, 1 ahead"
    voice.hear(TICKED)
    assert "37 tokens" in screen.getvalue().rsplit("\x1b[K", 1)[1]


def test_a_pipe_has_whole_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    voice = Voice(rows=False, sides=False)
    for event in HEARD:
        voice.hear(event)
    voice.end()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "== npurun bench: smollm2 (llama.cpp, Q4_K_M, ctx 2048) ==",
        "[loaded on CPU (llama.cpp), ctx 2,048, in 800 ms, a new process]",
        "[Left out.]",
    ]


class Closed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_has_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    voice = Voice(rows=True, sides=False)
    voice.hear(RunEnded(a_run()))
    assert voice.unheard


# --- handing on --------------------------------------------------------------------------------


def handed_on(paths: Paths, session: Session, **wanted: object) -> Outcome:
    """What becomes of `session`, as after a bench."""
    request = replace(BenchRequest("smollm2", Plan()), **wanted)  # type: ignore[arg-type]
    services = Services(paths, Settings())
    try:
        return hand_on(request, session, services, interrupted=False)
    finally:
        services.bench_history.close()


def test_a_history_that_cannot_be_written_loses_nothing_else(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.database.mkdir(parents=True)
    target = tmp_path / "out.md"
    outcome = handed_on(paths, a_session(), save=True, json=True, markdown=str(target))
    assert len(outcome.faults) == 1
    assert "database" in str(outcome.faults[0])
    assert json.loads(capsys.readouterr().out)["id"] == "c0ffee01"
    assert "Bench of" in target.read_text(encoding="utf-8")


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_has_gone_costs_no_file(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.html"
    monkeypatch.setattr(sys, "stdout", Gone())
    outcome = handed_on(paths, a_session(), json=True, report=str(target))
    assert isinstance(outcome.unforeseen, BrokenPipeError)
    assert "Bench of" in target.read_text(encoding="utf-8")


def test_a_fault_of_ours_in_the_bench_costs_nothing_that_was_measured(
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_question: Question) -> None:
        raise ZeroDivisionError("secret words")

    played = Played(hooks={2: fail})
    monkeypatch.setattr("npurun_tui.commands.bench._targets", lambda *_: [played])
    report, csv = tmp_path / "out.html", tmp_path / "out.csv"
    words = ["--save", "--report", str(report), "--csv", str(csv), "--warmups", "0", "--no-energy"]
    assert main(["bench", "model-a", *words]) == 1
    out, err = capsys.readouterr()
    assert "P50" in out
    assert "Bench of" in report.read_text(encoding="utf-8")
    assert len(csv.read_text(encoding="utf-8").splitlines()) == 3
    assert len(kept_ids(paths)) == 1
    *_, early, last = err.splitlines()
    assert early.startswith("npurun-tui: The bench ended early: a fault of this program")
    assert "secret words" not in err
    [crash] = paths.state.glob("crash*")
    assert str(crash) in last
    assert "ZeroDivisionError" in crash.read_text(encoding="utf-8")


def test_a_fault_of_ours_in_the_tables_costs_no_file_and_is_kept(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("npurun_tui.commands.bench_outcome.lines.summary_table", fail)
    target = tmp_path / "out.html"
    outcome = handed_on(paths, a_session(), save=True, report=str(target))
    assert isinstance(outcome.unforeseen, ZeroDivisionError)
    assert target.exists()
    assert kept_ids(paths) == ["c0ffee01"]


def test_what_is_kept_is_said_though_a_file_failed(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone" / "out.html"
    handed_on(paths, a_session(), save=True, report=str(gone))
    assert "[kept as c0ffee01:" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_loses_nothing_else(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone" / "out.html"
    outcome = handed_on(paths, a_session(), save=True, report=str(gone))
    assert [str(tmp_path / "gone") in str(fault) for fault in outcome.faults] == [True]
    assert "P50" in capsys.readouterr().out
    assert kept_ids(paths) == ["c0ffee01"]


def test_what_ended_early_is_told_with_its_reason_and_shown(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    session = a_session(complete=False, reason=f"The engine {ESCAPE} died.", runs=(a_run(),))
    outcome = handed_on(paths, session)
    assert [str(fault) for fault in outcome.faults] == [
        "The bench ended early: The engine ␛[2J died."
    ]
    assert "50.0" in capsys.readouterr().out
    assert not paths.database.exists()


def test_a_bench_without_an_answer_says_so(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = (a_run(outcome="empty", completion_tokens=0, host=NOT_TIMED, engine=NOT_TIMED),)
    assert handed_on(paths, a_session(runs=runs)).faults == []
    assert "No run has ended with an answer that counts." in capsys.readouterr().out


def test_a_bench_is_compared_with_the_last_that_asked_the_same(
    keep: Keep, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = tuple(50.0 + i / 100 for i in range(10))
    keep(a_session("aaaa", rates=fast), a_session("bbbb", plan={"prompts": ["other"]}))
    slow = tuple(rate * 0.8 for rate in fast)
    handed_on(paths, a_session("cccc", rates=slow), save=True)
    out = capsys.readouterr().out
    assert "Against aaaa of " in out
    assert "20.0 % slower" in out
    assert main(["bench", "compare"]) == 0
    words = capsys.readouterr().out
    assert words.startswith("Old: aaaa ")
    assert re.search(
        r"^MEDIANS +OLD +NEW$\s.*^Decode, tok/s +50\.0 +40\.0$", words, re.MULTILINE | re.DOTALL
    )
    assert "a regression" in words
    assert main(["bench", "compare", "--fail-on-regression", "--json"]) == 1
    shown, said = capsys.readouterr()
    assert json.loads(shown)["regressions"] == ["decode_tps"]
    assert said == "npurun-tui: Decode became worse by more than chance explains.\n"
    assert main(["bench", "compare", "cccc", "aaaa", "--fail-on-regression"]) == 0
    assert main(["bench", "compare", "aaaa", "aaaa"]) == 1


RUST = """model,prompt,repeat,ctx,ttft_ms,total_ms,gen_ms,tokens,tps_post_ttft
smollm2,joke,1,2048,90.000,2590.000,2500.000,100,40.000
smollm2,joke,2,2048,40.000,2540.000,2500.000,100,40.000
smollm2,joke,3,2048,40.100,2540.100,2500.000,100,40.010
smollm2,joke,4,2048,40.200,2540.200,2500.000,100,40.020
"""


def test_files_are_compared_with_what_was_kept_and_with_each_other(
    keep: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rust, exported = tmp_path / "rust.csv", tmp_path / "out.json"
    rust.write_text(RUST, "utf-8")
    assert main(["bench", "compare", str(rust)]) == 1
    assert "No bench of smollm2 is kept" in capsys.readouterr().err
    keep(a_session("aaaa", rates=tuple(50.0 + i / 100 for i in range(5))))
    assert main(["bench", "compare", str(rust)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Old: rust.csv ")
    assert "3 runs" in out, "its first query is a warm-up"
    assert "Decode: 25.0 % faster" in out
    assert "estimates tokens from words" in out
    assert main(["bench", "export", "aaaa", str(exported)]) == 0
    capsys.readouterr()
    assert main(["bench", "compare", str(exported), str(rust), "--fail-on-regression"]) == 1
    assert "New: rust.csv " in capsys.readouterr().out
    assert main(["bench", "compare", str(exported), "aaaa"]) == 1, "one and the same"
    assert "one bench, not two" in capsys.readouterr().err
    rust.write_text(RUST + RUST.splitlines()[1].replace("smollm2", "other") + "\n", "utf-8")
    assert main(["bench", "compare", str(rust)]) == 1
    assert "several models" in capsys.readouterr().err
    assert main(["bench", "compare", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


# --- what was kept -----------------------------------------------------------------------------


def test_an_empty_history_says_how_to_fill_it(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "history"]) == 0
    assert "bench NAME --save" in capsys.readouterr().out
    assert main(["bench", "history", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["bench", "compare"]) == 1
    assert "no bench number 1" in capsys.readouterr().err
    del paths


def test_the_history_is_listed_newest_first(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    keep(
        a_session("aaaabbbbcccc", rates=(40.0,)),
        a_session("ddddeeee", sides=(SIDE, BASELINE), complete=False),
        a_session("ffff", sides=(replace(SIDE, model=f"{ESCAPE}other"),), runs=()),
    )
    assert main(["bench", "history"]) == 0
    out = capsys.readouterr().out
    heads, *rows = out.splitlines()
    assert heads.split() == ["#", "ID", "WHEN", "MODEL", "TOK/S", "TTFT", "RUNS", "NOTE"]
    assert [row.split()[:2] for row in rows] == [
        ["1", "ffff"],
        ["2", "ddddeeee"],
        ["3", "aaaabbbb"],
    ]
    assert "against other · http://127.0.0.1:8080, incomplete" in rows[1]
    assert " 40.0 " in rows[2]
    assert "\x1b" not in out
    assert main(["bench", "history", "--json", "--model", "smollm2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [line["id"] for line in document] == ["ddddeeee", "aaaabbbbcccc"]
    assert document[1]["decode_tps"] == 40.0


def test_what_is_removed_is_gone(
    keep: Keep, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(a_session("aaaa"), a_session("bbbb"))
    assert main(["bench", "rm", "2"]) == 0
    assert kept_ids(paths) == ["bbbb"]
    assert main(["bench", "rm", "aaaa"]) == 1
    assert "No kept bench is called 'aaaa'" in capsys.readouterr().err


# --- Ctrl+C ------------------------------------------------------------------------------------


@dataclass(eq=False)
class Slow(Played):
    """Its answer does not end when it is told to, but when it is told again."""

    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure(self, question: Question, progress: Progress) -> Measured:
        try:
            return await super().measure(question, progress)
        except asyncio.CancelledError:
            self.ending.set()
            await asyncio.get_running_loop().create_future()
            raise


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to oneself")
async def test_ctrl_c_twice_loses_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(hang=1)
    monkeypatch.setattr("npurun_tui.commands.bench._targets", lambda *_: [slow])
    plan = Plan(prompts=("joke",), warmups=0, energy=False, loads=False)
    request = BenchRequest("model-a", plan)
    ears = Ears(request, None)
    work = asyncio.create_task(_run(request, Services(paths, Settings()), ears))
    await slow.hanging.wait()
    signal.raise_signal(signal.SIGINT)
    await slow.ending.wait()
    signal.raise_signal(signal.SIGINT)
    ran = await work
    session = ran.session
    assert ran.interrupted
    assert not session.complete
    assert [run.outcome for run in session.runs] == ["length", "aborted"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
async def test_a_timeout_or_a_closed_terminal_loses_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    target, sent = Played(hang=1), getattr(signal, name)
    monkeypatch.setattr("npurun_tui.commands.bench._targets", lambda *_: [target])
    monkeypatch.setattr("npurun_tui.commands.bench.ending_signals", lambda: [sent])
    request = BenchRequest("model-a", Plan(prompts=("joke",), warmups=0, energy=False))
    work = asyncio.create_task(_run(request, Services(paths, Settings()), Ears(request, None)))
    await target.hanging.wait()
    signal.raise_signal(sent)
    ran = await work
    session = ran.session
    assert ran.interrupted
    assert [run.outcome for run in session.runs] == ["length", "aborted"]
