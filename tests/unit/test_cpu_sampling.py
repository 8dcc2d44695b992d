"""Seeds and request fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from npurun_tui.engine.cpu.sampling import RandomStream, request_fields
from npurun_tui.engine.cpu.threads import _allowed_by_cgroup, choose_threads
from npurun_tui.engine.dialog import Sampler


def seeds(stream: RandomStream, count: int = 50) -> list[int]:
    return [stream.next_seed() for _ in range(count)]


def test_a_stream_repeats_and_does_not_stand_still() -> None:
    first = seeds(RandomStream(3))
    assert first == seeds(RandomStream(3))
    assert len(set(first)) == len(first)
    assert not set(first) & set(seeds(RandomStream(4)))
    assert all(0 <= seed < 0xFFFF_FFFF for seed in first)


def test_a_stream_goes_on_from_a_position() -> None:
    assert seeds(RandomStream(3, 10), 5) == seeds(RandomStream(3))[10:15]


@pytest.mark.parametrize("seed", [0, -1, 1 << 80])
def test_any_seed_will_do(seed: int) -> None:
    assert seeds(RandomStream(seed)) == seeds(RandomStream(seed))


def test_without_a_seed_streams_differ() -> None:
    assert seeds(RandomStream(None)) != seeds(RandomStream(None))


@pytest.mark.parametrize(
    "sampler", [Sampler(temperature=0), Sampler(top_k=1), Sampler(temperature=-1)]
)
def test_greedy(sampler: Sampler) -> None:
    fields = request_fields(sampler, 1)
    assert (fields["temperature"], fields["top_k"]) == (0.0, 1)
    assert fields["samplers"] == ["top_k"]


def test_the_order_is_top_k_top_p_temperature_after_penalties() -> None:
    sampler = Sampler(0.7, 30, 0.9, repetition_penalty=1.2, penalize_last_n=32)
    fields = request_fields(sampler, 9)
    assert fields["samplers"] == ["penalties", "top_k", "top_p", "temperature"]
    assert (fields["repeat_penalty"], fields["repeat_last_n"]) == (1.2, 32)
    assert (fields["temperature"], fields["top_k"], fields["top_p"]) == (0.7, 30, 0.9)
    assert (fields["min_p"], fields["seed"]) == (0.0, 9)


def test_no_penalty_costs_nothing() -> None:
    assert "penalties" not in request_fields(Sampler(), 1)["samplers"]
    assert (
        "penalties"
        not in request_fields(Sampler(repetition_penalty=2, penalize_last_n=0), 1)["samplers"]
    )


def test_each_penalty_is_one_by_itself() -> None:
    for sampler in (Sampler(presence_penalty=-0.5), Sampler(frequency_penalty=-0.5)):
        fields = request_fields(sampler, 1)
        assert fields["samplers"][0] == "penalties"
        assert fields["presence_penalty"] + fields["frequency_penalty"] == -0.5
        assert fields["repeat_penalty"] == 1.0


def test_min_p_comes_after_top_p() -> None:
    fields = request_fields(Sampler(min_p=0.1), 1)
    assert fields["samplers"] == ["top_k", "top_p", "min_p", "temperature"]
    assert fields["min_p"] == 0.1


def test_what_llama_cpp_could_not_hold_is_brought_into_its_range() -> None:
    sampler = Sampler(1e300, 1 << 60, repetition_penalty=1e-300, penalize_last_n=1 << 60)
    fields = request_fields(sampler, 1)
    assert fields["top_k"] == 0x7FFF_FFFF
    assert fields["temperature"] == 1e6
    assert fields["repeat_penalty"] == 1e-3
    assert fields["repeat_last_n"] == 1 << 17


def test_threads_as_wished_or_at_least_one() -> None:
    assert choose_threads(3) == 3
    assert choose_threads() >= 1


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("200000 100000\n", 2),
        ("50000 100000", 1),
        ("max 100000", 65536),
        ("", 65536),
        ("1 0", 65536),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, text: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert _allowed_by_cgroup(file) == cores
    assert _allowed_by_cgroup(tmp_path / "none") == 65536
