"""Which caches are saved, brought back and thrown away, with a dialog that only keeps account of what it is told."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from npurun_tui.engine import leftovers
from npurun_tui.engine.conversations import ConversationCache
from npurun_tui.engine.conversations.folder import MOST, RESERVE, Snapshot, SnapshotFolder
from npurun_tui.engine.conversations.planning import plan
from npurun_tui.engine.conversations.rates import Rates
from npurun_tui.engine.dialog import GenieError, QueryProfile, SentenceCode, Status
from npurun_tui.engine.held import EMPTY, Held, after_query, common_length
from npurun_tui.engine.remote import QueryOutcome, RemoteDialog
from npurun_tui.errors import EngineCrashed

BYTES_A_TOKEN = 10_000
LIMIT = 100_000_000


class FakeDialog:
    """Four characters are a token; a snapshot is a file of as many bytes as it would have."""

    def __init__(self, model: str = "model") -> None:
        self.snapshots_of = model
        self.held: Held | None = EMPTY
        self.saved: list[str] = []
        self.adopted: list[str] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    def holds(self, prompt: str, answer: str = "") -> None:
        self.held = Held(prompt, answer, len(prompt + answer) // 4)

    async def save(self, folder: Path) -> None:
        assert self.held is not None
        text = self.held.text
        await self._work()
        folder.mkdir()
        (folder / "cache").write_bytes(bytes(len(text) // 4 * BYTES_A_TOKEN))
        self.saved.append(text)

    async def adopt(self, folder: Path, held: Held) -> None:
        self.held = None
        await self._work()
        assert (folder / "cache").is_file()
        self.held = held
        self.adopted.append(held.text)

    async def _work(self) -> None:
        if self.gate is not None:
            self.entered.set()
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault


def text_of(name: str, tokens: int) -> str:
    """A text of its own from the first character on."""
    line = f"{name} says something else than everybody. "
    return (line * (tokens * 4 // len(line) + 1))[: tokens * 4]


A, B, C = text_of("A", 1000), text_of("B", 800), text_of("C", 900)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "conversations"


@pytest.fixture
async def cache(base: Path) -> AsyncIterator[ConversationCache]:
    cache = ConversationCache(base, LIMIT)
    yield cache
    await cache.aclose()


@pytest.fixture
def dialog() -> FakeDialog:
    return FakeDialog()


async def ask(cache: ConversationCache, dialog: FakeDialog, prompt: str, answer: str = "") -> float:
    """A turn, as far as the cache is concerned."""
    took = await cache.make_ready(cast("RemoteDialog", dialog), prompt)
    dialog.holds(prompt, answer)
    return took


def files(base: Path) -> list[Path]:
    """The snapshots' folders."""
    return [path for own in base.glob("*") for path in own.iterdir()]


# --- deciding ----------------------------------------------------------------------------------


async def test_conversations_in_turn_are_saved_and_come_back(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    await ask(cache, dialog, A, "first")
    await ask(cache, dialog, B, "first")
    assert dialog.saved == [A + "first"]
    assert await ask(cache, dialog, A + "first" + "more", "second") > 0
    assert dialog.saved == [A + "first", B + "first"]
    assert dialog.adopted == [A + "first"]
    await ask(cache, dialog, B + "first" + "more")
    assert dialog.adopted == [A + "first", B + "first"]


async def test_one_conversation_alone_is_never_saved(
    cache: ConversationCache, dialog: FakeDialog, base: Path
) -> None:
    text = A
    for number in range(5):
        answer = text_of(f"answer {number}", 200)
        await ask(cache, dialog, text, answer)
        text += answer + "and on?"
    assert (dialog.saved, dialog.adopted) == ([], [])
    assert not base.exists()  # nothing is even made


async def test_an_answer_without_its_thoughts_or_asked_again_is_the_same_conversation(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    opened = A + "<assistant><think></think>"
    await ask(cache, dialog, opened, text_of("thoughts", 500) + "Yes.")
    await ask(cache, dialog, A + "<assistant>" + "Yes. And?", text_of("thoughts", 500))
    await ask(cache, dialog, A + "<assistant>" + "Yes. And?", text_of("others", 500))
    assert dialog.saved == []


async def test_a_title_in_between_costs_a_restore(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    await ask(cache, dialog, A, "answer")
    await ask(cache, dialog, "Write a title: A")
    await ask(cache, dialog, A + "answer" + "more")
    assert dialog.adopted == [A + "answer"]
    assert dialog.saved == [A + "answer"]  # the title is too short to be kept


async def test_an_earlier_state_is_replaced(
    cache: ConversationCache, dialog: FakeDialog, base: Path
) -> None:
    await ask(cache, dialog, A, text_of("thoughts", 100))
    await ask(cache, dialog, B)
    longer = A + text_of("a better answer", 300)
    await ask(cache, dialog, longer)
    await ask(cache, dialog, B + text_of("question", 300))
    await ask(cache, dialog, C)
    await cache._settled()
    sizes = sorted(next(path.iterdir()).stat().st_size // BYTES_A_TOKEN for path in files(base))
    assert sizes == [1100, 1300]


async def test_what_is_saved_already_is_not_saved_again(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    await cache.make_ready(cast("RemoteDialog", dialog), A)
    assert dialog.held is not None
    await cache.make_ready(cast("RemoteDialog", dialog), B)  # A is just as it was
    assert dialog.saved == [A, B]


async def test_a_dialog_whose_cache_is_unknown_is_not_saved_but_restored(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    dialog.held = None
    await ask(cache, dialog, A)
    assert (dialog.saved, dialog.adopted) == ([A], [A])


async def test_another_model_has_nothing_of_this_ones(cache: ConversationCache) -> None:
    first, second = FakeDialog("one"), FakeDialog("two")
    await ask(cache, first, A)
    await ask(cache, first, B)
    await ask(cache, second, A)
    assert second.adopted == []
    again = FakeDialog("one")  # the first one, in a new process
    await ask(cache, again, A)
    assert again.adopted == [A]


@pytest.mark.parametrize(("limit", "model"), [(0, "model"), (LIMIT, "")])
async def test_switched_off(base: Path, limit: int, model: str) -> None:
    cache, dialog = ConversationCache(base, limit), FakeDialog(model)
    for prompt in (A, B, A, B):
        assert await ask(cache, dialog, prompt) == 0
    assert (dialog.saved, dialog.adopted) == ([], [])
    await cache.aclose()
    assert not base.exists()


def test_a_slow_disk_is_left_alone() -> None:
    rates = Rates(prefill=1e-4, save=1e-6, restore=1e-6, size=1e4)
    held = Held(A, "", 1000)
    assert not plan(held, B, [], rates).save
    snapshot = Snapshot(Path("x"), "model", Held(B, "", 800), 8_000_000)
    assert plan(held, B, [snapshot], rates).restore is None


def test_the_one_that_shares_most_is_chosen_unless_the_cache_shares_more() -> None:
    rates = Rates(size=1e4)
    short = Snapshot(Path("short"), "model", Held(A[:2000], "", 500), 5_000_000)
    long = Snapshot(Path("long"), "model", Held(A[:3600], B, 1700), 17_000_000)
    assert plan(EMPTY, A, [short, long], rates).restore is long
    assert plan(Held(A, "", 1000), A + "more", [short, long], rates).restore is None


def test_rates_are_learnt() -> None:
    rates = Rates()
    for _ in range(30):
        rates.prefilled(100, 1.0)
        rates.saved(100, 1_000_000, 0.1)
        rates.restored(1_000_000, 0.05)
    rates.prefilled(1, 10.0)  # says nothing
    assert rates.to_prefill(50) == pytest.approx(0.5, rel=0.01)
    assert rates.bytes_of(10) == 100_000
    assert rates.to_save(100) == pytest.approx(0.1, rel=0.01)
    assert rates.to_restore(100) == pytest.approx(0.05, rel=0.01)


async def test_a_prefill_is_learnt_from(cache: ConversationCache, dialog: FakeDialog) -> None:
    fast = QueryOutcome(Status.SUCCESS, 1, 1, QueryProfile(100_000, 0, 1, 1_000_000, 0))
    for _ in range(30):
        cache.learn(cast("RemoteDialog", dialog), fast)
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert dialog.saved == []  # 1,000 tokens are prefilled in 10 ms


async def test_what_is_about_to_be_unloaded_is_kept(
    cache: ConversationCache, dialog: FakeDialog
) -> None:
    remote = cast("RemoteDialog", dialog)
    await cache.keep(remote)  # there is nothing
    await ask(cache, dialog, A)
    await cache.keep(remote)
    await cache.keep(remote)  # it is there
    assert dialog.saved == [A]
    dialog.holds(B)
    dialog.fault = EngineCrashed("It ended.")
    await cache.keep(remote)
    again = FakeDialog()
    await ask(cache, again, A)
    assert again.adopted == [A]


# --- what goes wrong ---------------------------------------------------------------------------


async def test_a_failed_save_costs_nothing_but_time(
    cache: ConversationCache, dialog: FakeDialog, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dialog.fault = GenieError(Status.ERROR_QUERY_FAILED, "GenieDialog_save", "No space left")
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert "could not be saved" in caplog.text
    assert files(base) == []
    dialog.fault = None
    await ask(cache, dialog, A)
    assert dialog.saved == []  # not tried again at once


async def test_a_failed_restore_is_forgotten(
    cache: ConversationCache, dialog: FakeDialog, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(cache, dialog, A)
    await ask(cache, dialog, "title")
    dialog.fault = GenieError(Status.ERROR_QUERY_FAILED, "GenieDialog_restore", "damaged")
    await ask(cache, dialog, A)
    assert "could not be restored" in caplog.text
    assert files(base) == []
    dialog.fault = None
    await ask(cache, dialog, A + "more")
    assert dialog.adopted == []


async def test_a_snapshot_that_ends_the_engine_is_not_tried_twice(
    cache: ConversationCache, dialog: FakeDialog, base: Path
) -> None:
    await ask(cache, dialog, A)
    await ask(cache, dialog, "title")
    dialog.fault = EngineCrashed("It ended.")
    with pytest.raises(EngineCrashed):
        await ask(cache, dialog, A)
    assert files(base) == []


async def test_a_crash_while_saving_leaves_nothing(
    cache: ConversationCache, dialog: FakeDialog, base: Path
) -> None:
    await ask(cache, dialog, A)
    dialog.fault = EngineCrashed("It ended.")
    with pytest.raises(EngineCrashed):
        await ask(cache, dialog, B)
    assert files(base) == []


async def test_no_room_on_the_disk(
    cache: ConversationCache,
    dialog: FakeDialog,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    full = shutil.disk_usage("/")._replace(free=RESERVE + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert dialog.saved == []
    assert "no room" in caplog.text


async def test_a_folder_that_cannot_be_made(tmp_path: Path, dialog: FakeDialog) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = ConversationCache(tmp_path / "file" / "conversations", LIMIT)
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert dialog.saved == []
    await cache.aclose()


@pytest.mark.parametrize("step", ["save", "restore"])
async def test_who_is_cancelled_leaves_the_step_to_its_end(
    cache: ConversationCache, dialog: FakeDialog, step: str
) -> None:
    await ask(cache, dialog, A)
    if step == "restore":
        await ask(cache, dialog, "title")
    dialog.gate = asyncio.Event()
    going = asyncio.create_task(ask(cache, dialog, B if step == "save" else A))
    await dialog.entered.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    after = asyncio.create_task(ask(cache, dialog, A + "more"))
    await asyncio.sleep(0)
    assert not after.done()
    dialog.gate.set()
    await after
    assert dialog.saved == [A]  # by the one who left, and known to the next
    assert dialog.adopted == ([A] if step == "restore" else [])


# --- the disk ----------------------------------------------------------------------------------


async def test_the_limit_is_kept_and_the_longest_unused_goes(
    base: Path, dialog: FakeDialog
) -> None:
    cache = ConversationCache(base, 2000 * BYTES_A_TOKEN)
    cache._rates["model"].size = BYTES_A_TOKEN
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    await ask(cache, dialog, C)  # A and B are saved: 1,800
    await ask(cache, dialog, A + "more")  # B goes for C, as A is about to be needed
    assert dialog.saved == [A, B, C]
    await ask(cache, dialog, B)
    assert dialog.adopted == [A]
    total = sum(file.stat().st_size for path in files(base) for file in path.iterdir())
    assert 0 < total <= 2000 * BYTES_A_TOKEN
    await cache.aclose()


async def test_what_is_larger_than_the_limit_is_not_saved(base: Path, dialog: FakeDialog) -> None:
    cache = ConversationCache(base, 500 * BYTES_A_TOKEN)
    cache._rates["model"].size = BYTES_A_TOKEN
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert dialog.saved == []
    await cache.aclose()


async def test_what_turns_out_larger_than_the_limit_goes(base: Path, dialog: FakeDialog) -> None:
    cache = ConversationCache(base, 500 * BYTES_A_TOKEN)
    cache._rates["model"].size = BYTES_A_TOKEN / 10
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    assert dialog.saved == [A]
    await cache._settled()
    assert files(base) == []
    await cache.aclose()


def test_there_are_never_too_many(base: Path) -> None:
    folder = SnapshotFolder(base, LIMIT)
    for number in range(MOST + 5):
        path = folder.new_place(1, (), None)
        assert path is not None
        path.mkdir()
        folder.add(path, "model", Held(f"{number}", "", 1))
    assert len(folder.of("model")) == len(files(base)) == MOST
    folder.close()


async def test_the_folder_is_private_and_goes_with_the_engine(
    base: Path, dialog: FakeDialog
) -> None:
    cache = ConversationCache(base, LIMIT)
    await ask(cache, dialog, A)
    await ask(cache, dialog, B)
    (own,) = base.iterdir()
    assert own.name.startswith(f"{os.getpid()}-")
    if os.name == "posix":
        assert own.stat().st_mode & 0o077 == 0
    await cache.aclose()
    assert list(base.iterdir()) == []
    await ask(cache, dialog, A)  # too late for anything
    assert list(base.iterdir()) == []


async def test_what_a_killed_process_left_goes_first(
    cache: ConversationCache, dialog: FakeDialog, base: Path
) -> None:
    left, living = base / "999999999-00", base / f"{os.getppid()}-00"
    for folder in (left, living):
        (folder / "snapshot").mkdir(parents=True)
    await ask(cache, dialog, A)
    assert list(base.iterdir()) == [living]
    assert leftovers.own_folder(base) != leftovers.own_folder(base)


# --- what a dialog holds -----------------------------------------------------------------------

GOOD, ABORTED, FULL = Status.SUCCESS, Status.WARNING_ABORTED, Status.WARNING_CONTEXT_EXCEEDED
REWIND, COMPLETE = SentenceCode.REWIND, SentenceCode.COMPLETE
BEFORE = Held("one two", " three", 5)


@pytest.mark.parametrize(
    ("before", "code", "ended", "expected"),
    [
        (BEFORE, REWIND, (GOOD, 2, 9), Held("one two four", " five", 9)),
        (None, REWIND, (ABORTED, 1, 9), Held("one two four", " five", 9)),
        (EMPTY, COMPLETE, (GOOD, 2, 9), Held("one two four", " five", 9)),
        (BEFORE, COMPLETE, (GOOD, 2, 9), None),
        (None, COMPLETE, (GOOD, 2, 9), None),
        (EMPTY, SentenceCode.BEGIN, (GOOD, 0, 9), None),
        (BEFORE, REWIND, (ABORTED, 0, 3), Held("one two ", "", 3)),
        (None, REWIND, (ABORTED, 0, 3), None),
        (BEFORE, REWIND, (FULL, 0, 5), BEFORE),
        (BEFORE, REWIND, (FULL, 2, 9), Held("one two four", " five", 9)),
    ],
)
def test_what_is_known_after_a_query(
    before: Held | None,
    code: SentenceCode,
    ended: tuple[Status, int, int],
    expected: Held | None,
) -> None:
    answer = " five" if ended[1] else ""
    assert after_query(before, "one two four", code, answer, ended) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [("", ""), ("a", ""), ("same", "same"), ("same", "sane"), ("x", "y"), ("ab" * 999, "ab" * 500)],
)
def test_common_length(first: str, second: str) -> None:
    assert common_length(first, second) == next(
        (
            index
            for index, pair in enumerate(zip(first, second, strict=False))
            if len(set(pair)) > 1
        ),
        min(len(first), len(second)),
    )
