"""Quantities are written the same way everywhere, also at the edges of their units."""

from __future__ import annotations

import pytest

from npurun_tui import units


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (98_362_432, "98.4 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1 GB"),
        (3.2e12, "3.2 TB"),
        (5e15, "5,000 TB"),
    ],
)
def test_size(count: float, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0004, "0 ms"),
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_rates_and_counts() -> None:
    assert units.speed(11_200_000) == "11.2 MB/s"
    assert units.speed(7_990_000) == units.speed(8_000_000) == "8.0 MB/s"
    assert units.speed(111_600_000) == "112 MB/s"
    assert (units.speed(500), units.speed(999.7), units.speed(2e12)) == (
        "500 B/s",
        "1.0 kB/s",
        "2000 GB/s",
    )
    assert units.rate(14.94) == "14.9 tok/s"
    assert units.count(1, "token") == "1 token"
    assert units.count(1024, "token") == "1,024 tokens"
    assert units.count(0, "entry", "entries") == "0 entries"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.257, "1 s"), (1.4, "1 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (75.2, "1 min 15 s")],
)
def test_whole_seconds(seconds: float, words: str) -> None:
    assert units.whole_seconds(seconds) == words
