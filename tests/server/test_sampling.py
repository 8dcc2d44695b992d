"""A client's wishes are in range before they reach a C library."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.engine.checks import check_sampler
from npurun_tui.engine.dialog import Sampler
from npurun_tui.server.asking import Sampling
from npurun_tui.server.faults import BadRequest
from npurun_tui.server.ollama.options import wishes_of
from npurun_tui.server.openai.fields import SamplingFields
from npurun_tui.server.sampling import max_tokens_of, sampler_of, seed_of, stops_of


def test_without_wishes_it_is_the_engine_s_default() -> None:
    assert sampler_of(Sampling()) == Sampler()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 5.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 1.01),
        ("top_p", -1),
        ("top_k", -2),
        ("min_p", 2),
        ("repeat_penalty", -1),
        ("repeat_last_n", -2),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -math.inf),
    ],
)
def test_what_is_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(BadRequest) as caught:
        sampler_of(Sampling(**{name: value}))  # type: ignore[arg-type]
    assert caught.value.param == name
    assert name in caught.value.message


@given(
    st.builds(
        Sampling,
        temperature=st.none() | st.floats(),
        top_p=st.none() | st.floats(),
        top_k=st.none() | st.integers(),
        min_p=st.none() | st.floats(),
        seed=st.none() | st.integers(),
        repeat_penalty=st.none() | st.floats(),
        repeat_last_n=st.none() | st.integers(),
        presence_penalty=st.none() | st.floats(),
        frequency_penalty=st.none() | st.floats(),
    )
)
def test_whatever_passes_is_what_the_engines_take(wishes: Any) -> None:
    try:
        sampler = sampler_of(wishes)
    except BadRequest:
        return
    check_sampler(sampler)
    assert sampler.seed is None or 0 <= sampler.seed < 2**31


def test_seeds() -> None:
    assert seed_of(None) is seed_of(-1) is None
    assert seed_of(42) == 42
    large = (2**63 - 1, -(2**63), 2**63, 2**64, -(2**64), 10**300, int(1e308), -(10**5000), 2**31)
    mapped = [seed_of(seed) for seed in (-2, -9007199254740991, *large)]
    assert mapped == [seed_of(seed) for seed in (-2, -9007199254740991, *large)]
    assert len(set(mapped)) == len(mapped)
    assert all(seed is not None and 0 <= seed < 2**31 for seed in mapped)


def test_stop_strings() -> None:
    assert stops_of(("a", "b", "a"), 16) == ("a", "b")
    for wrong in (("",), ("a\x00",), ("x" * 2000,), tuple("abcdefghijklmnopq")):
        with pytest.raises(BadRequest) as caught:
            stops_of(wrong, 16)
        assert caught.value.param == "stop"


def test_max_tokens_stay_below_the_window() -> None:
    wanted = [max_tokens_of(count, 512) for count in (None, 0, -1, 1, 511, 512, 1 << 60)]
    assert wanted == [None, None, None, 1, 511, 511, 511]


@pytest.mark.parametrize("seed", [2**63, 2**64, 10**30, -(10**30), 1e300])
def test_a_seed_of_any_size_is_the_same_in_both_dialects(seed: float) -> None:
    openais = msgspec.convert({"seed": seed}, SamplingFields).sampling()
    ollamas = wishes_of({"seed": seed}).sampling
    assert sampler_of(openais) == sampler_of(ollamas)
    assert sampler_of(openais).seed is not None
