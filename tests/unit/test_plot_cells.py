"""Plots made of characters: where a point is drawn, what is left out, and what they cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npurun_tui.widgets.plot_cells import (
    BOTH,
    Canvas,
    Frame,
    Point,
    Series,
    frame_of,
    nice_top,
    sparkline,
)

UNIT = Frame(0.0, 1.0, 1.0)


def drawn(*series: Series, width: int = 4, height: int = 2, frame: Frame = UNIT) -> list[str]:
    """The rows as texts."""
    canvas = Canvas(width, height, frame)
    for number, one in enumerate(series):
        canvas.draw(number, one)
    return ["".join(sign for sign, _ in row) for row in canvas.rows()]


def test_corners_are_drawn_in_the_corners() -> None:
    corners = Series("a", [(0.0, 0.0), (0.0, None), (1.0, 1.0)])
    assert drawn(corners) == ["   ⠈", "⡀   "]


def test_neighbours_are_joined_and_a_gap_breaks_the_line() -> None:
    assert drawn(Series("a", [(0.0, 0.5), (1.0, 0.5)]), height=1) == ["⠒⠒⠒⠒"]
    broken = Series("a", [(0.0, 0.5), (0.2, None), (1.0, 0.5)])
    assert drawn(broken, height=1) == ["⠂  ⠐"]
    points = Series("a", [(0.0, 0.5), (1.0, 0.5)], joined=False)
    assert drawn(points, height=1) == ["⠂  ⠐"]


def test_signs_tell_series_apart_and_one_place_of_both_has_its_own() -> None:
    first = Series("a", [(0.0, 0.1), (1.0, 0.9)], "●")
    second = Series("b", [(0.0, 0.1), (0.01, 0.1), (1.0, 0.1)], "○")
    assert drawn(first, second) == ["   ●", f"{BOTH}  ○"]


def test_points_of_one_column_become_their_mean() -> None:
    many: list[Point] = [(0.5, y / 1000) for y in range(1001)]
    assert drawn(Series("a", many), width=1, height=2) == drawn(
        Series("a", [(0.5, 0.5)]), width=1, height=2
    )


@pytest.mark.parametrize(
    ("most", "top"),
    [(106, 120), (100, 100), (0.0371, 0.04), (1.01, 1.2), (9.5, 10), (0, 1), (5e-324, 1)],
)
def test_an_axis_ends_with_a_round_number(most: float, top: float) -> None:
    assert nice_top(most) == pytest.approx(top)


def test_nothing_has_no_frame() -> None:
    assert frame_of([]) is None
    assert frame_of([Series("a", [(1.0, None)])]) is None


@given(
    st.lists(
        st.tuples(
            st.floats(-1e9, 1e9),
            st.one_of(st.none(), st.floats(0, 1e9)),
        ),
        max_size=60,
    ),
    st.integers(1, 40),
    st.integers(1, 12),
    st.sampled_from(["", "○"]),
)
def test_whatever_is_drawn_fills_its_size(
    points: list[Point], width: int, height: int, sign: str
) -> None:
    series = Series("a", sorted(points, key=lambda point: point[0]), sign)
    frame = frame_of([series])
    if frame is not None:
        rows = drawn(series, width=width, height=height, frame=frame)
        assert [len(row) for row in rows] == [width] * height
        assert any(sign.strip() for row in rows for sign in row)


def test_a_sparkline_goes_from_nothing_to_all_and_skips_what_is_not_known() -> None:
    assert sparkline([0, None, 50, 100, 200], 9, 100.0) == "▁ ▅██"
    assert sparkline([1, 2, 3], 2, 3.0) == "▆█"
    assert sparkline([1, 2, 3], 0, 3.0) == ""
