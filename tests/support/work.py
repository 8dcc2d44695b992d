"""Counts of work, for tests of "this does not get dearer with that".

A count is the same however busy the machine is, so it can be compared closely where a clock would need a margin.
What happens inside C (copying a text, matching an expression) is one step: where that could be what grows, calls or
files are counted beside it, and `assert_all_end` stands guard over input that would keep C busy for ever.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from types import FrameType
from typing import Any, Final

import pytest

ENDLESS: Final = 100_000_000
"""Steps that no test comes near; counting them takes some ten seconds."""

PATIENCE: Final = 60.0
"""Seconds after which work counts as hung; the slowest machine needs a small part of them."""


class OverBudget(AssertionError):
    """More steps than allowed. Raised in the middle of the work, so that work without end comes to one."""


def steps(work: Callable[[], object], *, most: int = ENDLESS) -> int:
    """How many bytecode instructions `work` executes in this thread. Raises OverBudget after `most`."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal count
        if event == "call":
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
        elif event == "opcode":
            count += 1
            if count > most:
                raise OverBudget(f"more than {most:,} steps")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """The positional arguments of each call of `owner.name` from now on; it goes on doing what it does."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    @wraps(real)
    def function(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, function)
    return calls


# --- files -------------------------------------------------------------------------------------

_FILE_EVENTS: Final = {"open", "os.listdir", "os.scandir"}
_heard: list[list[tuple[str, str]]] = []


@contextmanager
def files_touched() -> Iterator[list[tuple[str, str]]]:
    """`(event, path)` of every file that is opened and every folder that is listed meanwhile, in any way."""
    _listen()
    mine: list[tuple[str, str]] = []
    _heard.append(mine)
    try:
        yield mine
    finally:
        _heard.remove(mine)


@cache
def _listen() -> None:
    """Once in a process: Python has no way to take an audit hook away."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if _heard and event in _FILE_EVENTS:
            for each in _heard:
                each.append((event, str(args[0])))

    sys.addaudithook(hook)


# --- hangs -------------------------------------------------------------------------------------

_DRIVER: Final = """
import json, sys
for name, text in json.load(sys.stdin).items():
    print(name, flush=True)
    work(text)
print("all done")
"""


def assert_all_end(code: str, texts: Mapping[str, str]) -> None:
    """Call `work(text)`, which `code` defines, for each of `texts` in a child process that may be killed.

    No measurement: the time allowed says only that it does not hang.
    """
    command = [sys.executable, "-c", code + _DRIVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            out, errors = child.communicate(json.dumps(texts), timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            out, errors = child.communicate()
    last = (out.splitlines() or ["the import"])[-1]
    assert last == "all done", f"{last!r} did not come to an end: {errors}"
