"""Whatever a power cut leaves of a download's files, what is gone on with is what it should be, or is fetched again."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npurun_tui.models.catalog import UrlSource
from npurun_tui.models.layout import CELL, MAP, PART, STATE
from npurun_tui.models.pull.blocking import Worker
from npurun_tui.models.pull.part import Origin, Part
from npurun_tui.models.pull.progress import Meter

BLOCK = 1 << 12
DATA = random.Random(3).randbytes(5 * BLOCK + 777)  # noqa: S311 - bytes that differ, not a secret
SOURCE = UrlSource("https://models.invalid/x.zip", size=len(DATA))
ORIGIN = Origin(SOURCE.url, '"one"', '"one"')

PIECES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, BLOCK)), max_size=12)
"""Which block grows, and by how much."""
PAGES = st.lists(st.tuples(st.integers(0, len(DATA) // 512), st.sampled_from("0x")), max_size=4)
"""Pages of the file that never reached the disk (zeros), or hold something else."""
CUTS = st.one_of(st.none(), st.integers(0, len(DATA)))


def open_part(folder: Path, worker: Worker) -> Part:
    part = Part(folder, SOURCE, BLOCK)
    part.open(worker, Meter())
    return part


def damage(path: Path, pages: list[tuple[int, str]], cut: int | None) -> None:
    data = bytearray(path.read_bytes())
    for page, what in pages:
        end = min(len(data), 512 * page + 512)
        data[512 * page : end] = (b"\0" if what == "0" else b"x") * max(0, end - 512 * page)
    path.write_bytes(data if cut is None else data[:cut])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pieces=PIECES,
    pages=PAGES,
    cut=CUTS,
    cells=st.lists(st.tuples(st.integers(0, 6 * CELL.size), st.integers(0, 255)), max_size=3),
    cut_map=st.one_of(st.none(), st.integers(0, 6 * CELL.size)),
)
def test_only_what_is_right_is_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[tuple[int, int]],
    pages: list[tuple[int, str]],
    cut: int | None,
    cells: list[tuple[int, int]],
    cut_map: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with Worker() as worker:
        part = open_part(folder, worker)
        part.begin(ORIGIN, len(DATA))
        for index, count in pieces:
            start = index * BLOCK + part.done(index)
            part.write(start, DATA[start : min(start + count, (index + 1) * BLOCK)])
        part.close()
        damage(folder / PART, pages, cut)
        cell_bytes = bytearray((folder / MAP).read_bytes())
        for place, value in cells:
            cell_bytes[place % len(cell_bytes)] = value
        (folder / MAP).write_bytes(cell_bytes[:cut_map])

        part = open_part(folder, worker)
        kept = (folder / PART).read_bytes()
        for index in range(6):
            start, done = index * BLOCK, part.done(index)
            assert kept[start : start + done] == DATA[start : start + done]
        if part.total is None or not part.origin.address:
            part.begin(ORIGIN, len(DATA))
        for index in part.missing:
            start = index * BLOCK + part.done(index)
            part.write(start, DATA[start : min(len(DATA), (index + 1) * BLOCK)])
        assert part.complete
        assert part.sha256 == hashlib.sha256(DATA).hexdigest()
        part.close()
    assert (folder / PART).read_bytes() == DATA


@pytest.mark.parametrize("length", [0, 1, 50, 100])
def test_a_state_that_is_cut_begins_anew(tmp_path: Path, length: int) -> None:
    with Worker() as worker:
        part = open_part(tmp_path, worker)
        part.begin(ORIGIN, len(DATA))
        part.write(0, DATA[:100])
        part.close()
        state = tmp_path / STATE
        state.write_bytes(state.read_bytes()[:length])
        part = open_part(tmp_path, worker)
        assert part.size == 0
        assert not (tmp_path / PART).exists()
        part.close()
