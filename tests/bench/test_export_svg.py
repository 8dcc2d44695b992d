"""The picture: well-formed whatever the session holds, with its values where the axes say, and told in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from npurun_tui.bench.compare import compare_sessions
from npurun_tui.bench.exports import EXPORTS
from npurun_tui.bench.exports.plots import scales
from npurun_tui.bench.exports.plots.chart import LEFT, RIGHT, WIDTH, Plot
from npurun_tui.bench.exports.plots.drawing import SIZES, USUAL, width_of
from npurun_tui.bench.exports.plots.over_time import rate_over_time
from npurun_tui.bench.exports.plots.series import MOST_POINTS
from npurun_tui.bench.exports.session_plots import plots
from npurun_tui.bench.exports.svg import svg
from npurun_tui.bench.records import Clock, Sample, Session
from npurun_tui.bench.statistics import summaries
from tests.bench import export_sessions as made

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
Box = tuple[float, float, float, float]


def picture(session: Session) -> ET.Element:
    return ET.fromstring(svg(session).encode("utf-8"))  # noqa: S314 - our own, that it parses is the test


def plot_of(session: Session, name: str) -> Plot:
    return next(plot for plot in plots(session) if plot.name == name)


def elements(plot: Plot, tag: str, css: str) -> list[ET.Element]:
    root = ET.fromstring(f"<svg>{plot.body}</svg>")  # noqa: S314
    return [found for found in root.iter(tag) if css in (found.get("class") or "").split()]


def signs(plot: Plot, css: str) -> list[tuple[float, float]]:
    """The centres of the circles of a series."""
    found = []
    for element in elements(plot, "path", css):
        if "b-mark" not in (element.get("class") or "").split():
            continue
        for x, y, radius in re.findall(r"M([-\d.]+) ([-\d.]+)a([\d.]+)", element.get("d") or ""):
            found.append((float(x) + float(radius), float(y)))
    return [point for point in found if point[1] > 50]  # the legend has one, too


def boxes(root: ET.Element) -> Iterator[tuple[str, Box]]:
    """Where each text of a picture is, as well as can be told without a font."""
    for child in root:
        if child.tag in (f"{SVG}svg", f"{SVG}text"):
            yield from _boxes(child, 0.0)


def _boxes(element: ET.Element, down: float) -> Iterator[tuple[str, Box]]:
    if element.tag == f"{SVG}svg":
        for child in element:
            if child.tag in (f"{SVG}svg", f"{SVG}text"):
                yield from _boxes(child, down + float(element.get("y") or 0))
        return
    text, css = element.text or "", element.get("class") or ""
    wide, size = width_of(text, css) * 0.93, SIZES.get(css, USUAL)
    x, y = float(element.get("x") or 0), float(element.get("y") or 0) + down
    left = {"middle": x - wide / 2, "end": x - wide}.get(element.get("text-anchor") or "", x)
    yield text, (left, y - size * 0.75, left + wide, y + size * 0.2)


@pytest.mark.parametrize("name", sorted(made.EVERY))
def test_it_is_well_formed_and_no_number_is_missing(name: str) -> None:
    text = svg(made.EVERY[name]())
    root = picture(made.EVERY[name]())
    assert root.tag == f"{SVG}svg"
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r">[^<]*<", "><", text))


@pytest.mark.parametrize("name", sorted(made.EVERY))
def test_no_text_lies_on_another_or_leaves_the_picture(name: str) -> None:
    found = list(boxes(picture(made.EVERY[name]())))
    assert found
    for text, (left, _, right, _) in found:
        assert left >= 0, text
        assert right <= WIDTH + 4, text
    for index, (one, a) in enumerate(found):
        for other, b in found[index + 1 :]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, (one, other)


def test_it_tells_itself_in_words() -> None:
    root = picture(made.against_cpu())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    drawn = list(root.iter(f"{SVG}svg"))
    assert len(drawn) == 6  # itself and five plots
    for element in drawn:
        assert element.get("role") == "img"
        for name in (element.get("aria-labelledby") or "").split():
            assert name in ids
    described = next(root.iter(f"{SVG}desc")).text
    assert described
    assert "Decode rate by run" in described
    by_run = plot_of(made.against_cpu(), "by-run")
    assert "qwen3-4b-2507-q4 · CPU (llama.cpp), median 6." in by_run.summary
    assert "in 20 runs" in by_run.summary


def test_sides_differ_in_more_than_colour() -> None:
    by_run = plot_of(made.against_cpu(), "by-run")
    classes = {element.get("class") or "" for element in elements(by_run, "path", "b-b")}
    assert any("b-hollow" in css for css in classes)
    assert any("b-dash" in css for css in classes)
    assert all("b-dash" not in (e.get("class") or "") for e in elements(by_run, "path", "b-a"))


def test_it_has_a_dark_side_and_fetches_nothing() -> None:
    text = svg(made.plain())
    assert "@media (prefers-color-scheme: dark)" in text
    assert "href" not in text
    assert "url(" not in text
    assert "<script" not in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")


def test_hostile_texts_stay_texts() -> None:
    text = svg(made.hostile())
    root = picture(made.hostile())
    assert not [element for element in root.iter() if "script" in str(element.tag)]
    assert "\x1b" not in text
    assert "\u202e" not in text
    shown = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert any("<script>alert(" in line for line in shown)


def test_each_run_is_where_its_value_says() -> None:
    session = made.plain(3)
    points = signs(plot_of(session, "by-run"), "b-a")
    rates = [run.host.decode_tps for run in session.runs[1:]]
    assert len(points) == len(rates)
    # A straight line between height and value, through the outermost two, meets all others.
    pairs = sorted((rate, y) for rate, (_, y) in zip(rates, points, strict=True) if rate)
    (low, bottom), (high, top) = pairs[0], pairs[-1]
    assert bottom > top
    for rate, y in pairs:
        assert y == pytest.approx(bottom + (rate - low) / (high - low) * (top - bottom), abs=0.2)
    across = [x for x, _ in points]
    assert across == sorted(across)
    assert LEFT <= across[0] < across[-1] <= WIDTH - RIGHT


def test_runs_without_a_rate_are_shown_as_such() -> None:
    plot = plot_of(made.failures(), "by-run")
    (crosses,) = [
        element
        for element in elements(plot, "path", "b-out")
        if (element.get("d") or "").count("m0-") > 1
    ]
    assert (crosses.get("d") or "").count("M") == 3
    assert "no rate" in plot.body


def test_a_single_run_and_none() -> None:
    assert [plot.name for plot in plots(made.EVERY["single"]())] == [
        "by-run",
        "by-length",
        "spread-decode-tps",
        "spread-ttft-ms",
    ]
    assert plots(made.nothing()) == []
    assert "No run has measured anything." in svg(made.nothing())


def test_a_thousand_runs_are_a_small_file() -> None:
    text = svg(made.EVERY["thousand"]())
    assert len(text) < 400_000
    many = made.session(*(replace(made.run(0, at * 5.0), repeat=at) for at in range(5000)))
    assert len(signs(plot_of(many, "by-run"), "b-a")) == MOST_POINTS


def test_conversations_show_what_the_cache_saves() -> None:
    session = made.conversation()
    names = [plot.name for plot in plots(session)]
    assert "by-turn" in names
    assert "by-length" not in names
    summary = plot_of(session, "by-turn").summary
    kept, anew = re.findall(r"(\d+) ms in turn 6", summary)
    assert int(anew) > 4 * int(kept)


def test_a_sweep_shows_what_a_long_prompt_costs() -> None:
    names = [plot.name for plot in plots(made.sweep())]
    assert names[:3] == ["by-run", "by-length", "decode-by-length"]
    summary = plot_of(made.sweep(baseline=False), "decode-by-length").summary
    short, long = re.findall(r"([\d.]+) tok/s at", summary)
    assert float(short) > 1.3 * float(long)
    assert "decode-by-length" not in [plot.name for plot in plots(made.against_cpu())]


def test_long_names_leave_room_for_where_it_runs() -> None:
    name = "a-model-whose-name-goes-on-and-on-until-nobody-reads-it-any-more"
    sides = (replace(made.NPU, model=name), replace(made.CPU, model=name))
    body = plot_of(
        made.session(made.run(0, 0.0), made.run(1, 9.0, "b"), sides=sides), "by-run"
    ).body
    assert "· NPU (Genie 1.21.0), median" in body
    assert "· CPU (llama.cpp), median" in body


def test_windows_are_told_apart() -> None:
    plot = plot_of(made.EVERY["windows"](), "by-length")
    for window in ("512", "1,024", "4,096"):
        assert f"window {window}" in plot.body
    assert "b-dots" in plot.body


# --- over time -----------------------------------------------------------------------------------


def test_loads_stand_below_the_rate() -> None:
    plot = plot_of(made.stress(), "over-time")
    for words in ("temperature, °C", "power, W", "processor, %", "battery, %"):
        assert words in plot.body
    assert "NPU memory" not in plot.body  # nothing has read it
    assert "Temperature: 4" in plot.summary


def test_a_pause_is_a_gap_and_nothing_is_drawn_in_it() -> None:
    plot = plot_of(made.stress(600.0), "over-time")
    left = LEFT + 0.55 * (WIDTH - RIGHT - LEFT)
    right = LEFT + 0.62 * (WIDTH - RIGHT - LEFT)
    for element in elements(plot, "path", "b-load"):
        path = element.get("d") or ""
        assert path.count("M") == 2
        for x in (float(x) for x in re.findall(r"[ML ]([\d.]+) [\d.]+", path)):
            assert x <= left + 1.5 or x >= right - 1.5


def test_samples_of_a_day_are_means_of_neighbours() -> None:
    samples = tuple(Sample(at_s=at * 1.0, watts=5.0 + at % 2) for at in range(86_400))
    plot = rate_over_time(replace(made.plain(), samples=samples, seconds=86_400.0))
    assert plot is not None
    (line,) = elements(plot, "path", "b-load")
    ys = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", line.get("d") or "")]
    assert len(ys) == 400
    assert max(ys) - min(ys) < 1  # each is a mean of fives and sixes


def test_what_cannot_be_read_has_no_panel() -> None:
    samples = (Sample(0.0, watts=5.0), Sample(1.0), Sample(2.0, watts=None))
    plot = rate_over_time(replace(made.plain(), samples=samples))
    assert plot is not None
    assert "power" not in plot.body


# --- scales --------------------------------------------------------------------------------------


def test_round_values() -> None:
    assert scales.span(0, 15.4, 0, 100).ticks == (0, 5, 10, 15, 20)
    assert scales.from_values([5.7, 15.3], 0, 100).low == 0
    assert scales.from_values([14.3, 15.3], 0, 100).low > 13
    assert (
        scales.from_values([14.9], 0, 100).ticks[0] < 14.9 < scales.from_values([14.9], 0, 9).high
    )
    assert scales.counting(1, 0, 100).ticks == (1.0,)
    assert scales.counting(4, 0, 100).ticks == (1, 2, 3, 4)
    assert scales.for_lengths([24], 0, 100).ticks == (23, 24, 25)
    assert scales.for_lengths([32, 4000], 0, 100).ticks == (32, 64, 128, 256, 512, 1024, 2048, 4096)
    assert scales.tick_texts((0.0, 0.5, 1.0)) == ["0.0", "0.5", "1.0"]
    assert scales.tick_texts((0.0, 2000.0)) == ["0", "2,000"]


_VALUES = st.lists(
    st.floats(1e-3, 1e9, allow_nan=False, allow_infinity=False), min_size=1, max_size=20
)


def test_a_comparison_is_told_with_both_medians() -> None:
    old, new = made.plain(5), made.plain(6)
    text = EXPORTS[".svg"](new, compare_sessions(old, new))
    assert "Against an earlier bench:" in text
    medians = [summaries(each)["decode_tps"] for each in (old, new)]
    was, now = (f"{median.p50:.1f}" for median in medians if median)
    assert f"The median was {was} tok/s, and is {now}." in text
    assert "Against an earlier" not in svg(new)


@given(_VALUES)
def test_every_value_lies_on_the_axis(values: list[float]) -> None:
    for scale in (
        scales.from_values(values, 300.0, 0.0),
        scales.close(values, 0.0, 300.0),
        scales.for_lengths(values, 0.0, 300.0),
        scales.for_times(values, 300.0, 0.0, log=True),
    ):
        assert 1 <= len(scale.ticks) <= 24
        assert all(a < b for a, b in zip(scale.ticks, scale.ticks[1:], strict=False))
        assert len(set(scales.tick_texts(scale.ticks))) == len(scale.ticks)
        for value in values:
            assert -0.5 <= scale.at(value) <= 300.5


_ANY = st.sampled_from(
    [
        None,
        math.nan,
        math.inf,
        -math.inf,
        0.0,
        -1.0,
        5e-324,
        1e-9,
        0.5,
        14.9,
        15.1,
        1e9,
        1e15,
        1e308,
    ]
)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.lists(st.tuples(_ANY, _ANY, _ANY, _ANY), min_size=1, max_size=8))
def test_any_session_is_a_picture(found: list[tuple[float | None, ...]]) -> None:
    """A file may say anything: what cannot have been measured is left out, and what is left is drawn."""
    runs = []
    for at, (ttft, rate, length, moment) in enumerate(found):
        run = replace(made.run(at, at * 3.0), host=Clock(ttft, None, rate), turn=at % 2)
        tokens = int(length) if length is not None and math.isfinite(length) else None
        began = at * 3.0 if moment is None else moment
        runs.append(replace(run, prompt_tokens=tokens, began_s=began))
    samples = tuple(
        Sample(at if moment is None else moment, watts=watts, temperature_c=heat, cpu_percent=heat)
        for at, (watts, heat, _, moment) in enumerate(found)
    )
    last = found[-1][0]
    session = made.session(*runs, samples=samples, seconds=last or 0.0, began=last or 0.0)
    text = svg(session)
    picture(session)
    coordinates = re.findall(r' [xyd]="([^"]*)"', text)
    assert all(abs(float(number)) < 1e5 for part in coordinates for number in NUMBER.findall(part))
    for makes in EXPORTS.values():
        assert makes(session, None)
