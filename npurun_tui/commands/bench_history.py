"""`bench history`, `compare`, `export` and `rm`: what is done with the benches that were kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from npurun_tui import units
from npurun_tui.bench.compare import Comparison, Difference, compare_sessions
from npurun_tui.bench.exports import EXPORTS
from npurun_tui.bench.exports import export as write_file
from npurun_tui.bench.exports.files import is_file, read_file
from npurun_tui.bench.exports.wording import of
from npurun_tui.bench.history import History, Kept
from npurun_tui.bench.records import Session
from npurun_tui.bench.statistics import NAMES, UNITS
from npurun_tui.bench.verdicts import comparison_words
from npurun_tui.commands.bench_files import check_export
from npurun_tui.commands.speaking import say
from npurun_tui.commands.tables import write_json, write_line, write_table
from npurun_tui.errors import StorageError
from npurun_tui.settings import Paths
from npurun_tui.text import one_line


def history(paths: Paths, model: str, limit: int, *, json: bool) -> int:
    """Print the kept benches, the newest first."""
    with _opened(paths) as kept:
        lines = kept.list(limit, model)
    if json:
        write_json([asdict(line) for line in lines])
        return 0
    if not lines:
        of = f" of {one_line(model, 60)}" if model else ""
        write_line(f"No bench{of} is kept yet: `npurun-tui bench NAME --save` keeps one.")
        return 0
    numbered = enumerate(lines, 1)
    if model:  # numbers count through the whole history, so a part of it is named by ids
        rows = [_line("", line) for _, line in numbered]
    else:
        rows = [_line(str(number), line) for number, line in numbered]
    write_table(("#", "ID", "WHEN", "MODEL", "TOK/S", "TTFT", "RUNS", "NOTE"), rows, right="aefg")
    return 0


def _line(number: str, line: Kept) -> tuple[str, ...]:
    notes = [line.name] if line.name else []
    if line.baseline:
        notes.append(f"against {line.baseline}")
    if not line.complete:
        notes.append("incomplete")
    return (
        number,
        line.id[:8],
        when(line.began),
        one_line(line.model, 24),
        "-" if line.decode_tps is None else of("decode_tps", line.decode_tps),
        "-" if line.ttft_ms is None else f"{of('ttft_ms', line.ttft_ms)} ms",
        str(line.runs),
        one_line(", ".join(notes), 80),
    )


def when(began: float) -> str:
    """On this machine's clock: `11-25 18:04`, with the year where it is another one."""
    try:
        then, now = time.localtime(began), time.localtime()
    except (OverflowError, OSError, ValueError):
        return "?"
    return time.strftime("%m-%d %H:%M" if then.tm_year == now.tm_year else "%Y-%m-%d", then)


def compare(paths: Paths, old: str, new: str, *, json: bool, strict: bool) -> int:
    """Print what has changed from `old` to `new`; without `new`, from the one before `old` to it; without both, to the
    newest. Either may be a file; one without `new` is compared with the newest kept bench of its model. With `strict`
    the status is 1 where something became worse.

    Raises:
        StorageError: there is no such bench, or nothing to compare with.
        BenchFileInvalid: a file holds no bench.
    """
    with _opened(paths) as kept:
        first, second = _pair(kept, old, new)
    comparison = compare_sessions(first, second)
    files = [note for each in (first, second) if is_file(each.id) for note in each.notes]
    comparison = replace(comparison, notes=tuple(dict.fromkeys((*comparison.notes, *files))))
    if json:
        write_json(
            {
                "old": _name(first),
                "new": _name(second),
                "figures": {name: asdict(d) for name, d in comparison.figures.items()},
                "regressions": [d.figure for d in comparison.regressions],
                "differs": list(comparison.differs),
                "notes": list(comparison.notes),
            }
        )
    else:
        write_line(f"Old: {_title(first)}")
        write_line(f"New: {_title(second)}")
        _tell_medians(comparison)
        for words in comparison_words(comparison):
            write_line(one_line(words, 400))
    worse = comparison.regressions
    if strict and worse:
        say(f"npurun-tui: {_regressed(worse)}")
        return 1
    return 0


def _tell_medians(comparison: Comparison) -> None:
    rows = [
        (f"{NAMES[name]}, {UNITS[name]}", of(name, found.median_a), of(name, found.median_b))
        for name, found in comparison.figures.items()
    ]
    if rows:
        write_table(("MEDIANS", "OLD", "NEW"), rows, right="bc")


def _pair(kept: History, old: str, new: str) -> tuple[Session, Session]:
    if new:
        first, second = _read(kept, old), _read(kept, new)
        if first.id == second.id and first.runs == second.runs:
            raise StorageError("That is one bench, not two.", mend="Name two of them.")
        return first, second
    if is_file(old):
        first = _read(kept, old)
        newest = kept.list(1, first.sides[0].model)
        if not newest:
            raise StorageError(
                f"No bench of {one_line(first.sides[0].model, 60)} is kept to compare it with.",
                mend="`npurun-tui bench NAME --save` keeps one; or name a second file.",
            )
        return first, kept.get(newest[0].id)
    second = kept.get(old or "1")
    before = kept.before(second)
    if before is None:
        raise StorageError(
            f"No bench of {one_line(second.sides[0].model, 60)} was kept before {second.id[:8]}.",
            mend="`npurun-tui bench history` lists them; name two to compare them.",
        )
    return before, second


def _read(kept: History, which: str) -> Session:
    return read_file(Path(which)) if is_file(which) else kept.get(which)


def _regressed(worse: list[Difference]) -> str:
    names = " and ".join(NAMES[difference.figure] for difference in worse)
    return f"{names} became worse by more than chance explains."


def _name(session: Session) -> dict[str, object]:
    side = session.sides[0]
    return {
        "id": session.id,
        "began": session.began,
        "model": side.model,
        "device": side.device,
        "complete": session.complete,
    }


def _title(session: Session) -> str:
    side = session.sides[0]
    runs = units.count(sum(run.counts and run.side == side.key for run in session.runs), "run")
    early = "" if session.complete else ", incomplete"
    name = session.id[:8] if session.id.isalnum() else one_line(session.id, 40)  # a file's is whole
    return one_line(f"{name}  {when(session.began)}  {side.label}, {runs}{early}", 200)


def export(paths: Paths, which: str, file: str, *, force: bool) -> int:
    """Write a kept bench to `file`, in the form that its ending names; `-` is stdout.

    Raises:
        UsageError: there is no such form, or the file is there already.
        StorageError: there is no such bench.
        ExportFailed, DiskFull: it could not be written.
    """
    path = Path(file)
    if file != "-":
        check_export(path, EXPORTS, force=force)
    with _opened(paths) as kept:
        session = kept.get(which)
    if file == "-":
        write_line(EXPORTS[".json"](session, None).rstrip("\n"))
        return 0
    write_file(session, path)
    say(f"[bench {session.id[:8]} is in {one_line(str(path), 300)}]")
    return 0


def remove(paths: Paths, which: str) -> int:
    """Forget a kept bench.

    Raises:
        StorageError: there is no such bench.
    """
    with _opened(paths) as kept:
        gone = kept.remove(which)
    say(f"[bench {one_line(gone, 40)[:8]} is forgotten]")
    return 0


@contextmanager
def _opened(paths: Paths) -> Iterator[History]:
    kept = History(paths.database)
    try:
        yield kept
    finally:
        if kept.notice:
            say(kept.notice)
        kept.close()


def comparison_lines(comparison: Comparison, old: Session) -> list[str]:
    """What `bench` says of the last kept one that asked the same."""
    heading = f"Against {old.id[:8]} of {when(old.began)}:"
    return [heading, *(f"  {one_line(words, 400)}" for words in comparison_words(comparison))]
