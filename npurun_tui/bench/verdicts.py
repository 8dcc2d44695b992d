"""What the figures mean, in one sentence each, for people."""

from __future__ import annotations

import re
from typing import Final

from npurun_tui import units
from npurun_tui.bench.compare import REGRESSION, Comparison, Difference, compare_sides
from npurun_tui.bench.records import Session, Side
from npurun_tui.bench.statistics import NAMES, clock_gap
from npurun_tui.bench.throttling import ADVISED_S, Throttling
from npurun_tui.text import one_line

CHECK: Final = 3.0
"""npurun's proof that it is the NPU that works: at least so many times the CPU's rate."""

_TOO_FEW: Final = 0.05
"""A comparison that cannot find a change of this size should say so."""


_MULTIPLE: Final = 2.0
"""From here on people think in multiples, not in percent."""


def difference_words(difference: Difference) -> str:
    """`Decode: 4.2 % slower (2.9 to 5.5 %): a regression.`"""
    name = NAMES[difference.figure]
    if difference.verdict == "no difference":
        within = max(abs(_change(difference.low)), abs(_change(difference.high)))
        return f"{name}: no difference (within ±{_percent(within)}).{_too_few(difference)}"
    words = f"{name}: {_how_much(difference)}"
    if difference.regression:
        return f"{words}: a regression."
    if difference.verdict == "slower":
        return f"{words}, too little for a regression (more than {_percent(REGRESSION)})."
    return f"{words}."


def comparison_words(comparison: Comparison) -> list[str]:
    """One sentence a figure, then what differs, then notes."""
    return [
        *map(difference_words, comparison.figures.values()),
        *comparison.differs,
        *comparison.notes,
    ]


def throttling_words(throttling: Throttling) -> list[str]:
    """The rates' spread, the halves, and the verdict."""
    rate, slower = throttling.rate, throttling.degradation
    ends = f"{throttling.low:.1f} to {throttling.high:.1f} %"
    if throttling.certain:
        verdict = f"Second half {slower:.1f} % slower ({ends}): probable throttling."
    elif throttling.probable:
        verdict = (
            f"Second half {slower:.1f} % slower, but {ends} is within the noise: "
            "perhaps throttling; a longer bench would tell."
        )
    else:
        change = f"{abs(slower):.1f} % {'slower' if slower >= 0 else 'faster'}"
        verdict = f"Second half {change} (interval {ends}): no throttling"
        if throttling.seconds < ADVISED_S:
            verdict += (
                f" in {units.duration(throttling.seconds)}; "
                f"it mostly shows after {ADVISED_S / 60:.0f} minutes or more"
            )
        verdict += "."
    return [
        f"{units.count(rate.n, 'run')}, tok/s: min {rate.min:.1f}, p50 {rate.p50:.1f}, p90 {rate.p90:.1f}, "
        f"max {rate.max:.1f}, stdev {rate.stdev:.2f}.",
        f"First half {units.rate(throttling.first_tps)}, second half {units.rate(throttling.second_tps)}.",
        verdict,
    ]


def speedup_words(session: Session) -> str:
    """`NPU is 3.4 x the CPU's rate (3.2 to 3.6): …`; empty without a baseline that can be compared."""
    difference = compare_sides(session).get("decode_tps")
    sides = {side.key: side for side in session.sides}
    if difference is None or not {"a", "b"} <= sides.keys():
        return ""
    measured, baseline = sides["a"], sides["b"]
    kinds = _kind(measured), _kind(baseline)
    times, low, high = 1 / difference.ratio, 1 / difference.high, 1 / difference.low
    if kinds == ("CPU", "NPU"):
        times, low, high = difference.ratio, difference.low, difference.high
    if set(kinds) == {"CPU", "NPU"}:
        return _npu_words(times, low, high)
    rate = _times(times, low, high, f"the rate of {_name(baseline)}")
    words = f"{_name(measured)} decodes at {rate}"
    if difference.verdict == "no difference":
        within = max(abs(low - 1), abs(high - 1))
        words = f"{_name(measured)} and {_name(baseline)} decode equally fast (within ±{_percent(within)})"
    if kinds == ("CPU", "CPU"):
        return f"{words}; both on the CPU, so this says nothing of an NPU."
    return f"{words}."


def clock_words(session: Session, key: str = "a") -> str:
    """How far the host's clock and the runtime's own are apart; empty where the runtime has none."""
    gaps = clock_gap(session, key)
    known = [
        f"{NAMES[figure]} {round(gap, 1) + 0.0:+.1f} %"  # there is no -0.0 for people
        for figure, gap in gaps.items()
        if gap is not None
    ]
    return f"Host's clock against the runtime's: {', '.join(known)}." if known else ""


def _npu_words(times: float, low: float, high: float) -> str:
    """npurun's check, by the interval: what is not certain is not claimed."""
    only = "only " if high < CHECK else ""
    rate = _times(times, low, high, "the CPU's rate")
    words = f"NPU is {only}{rate}"
    if low >= CHECK:
        return f"{words}: at least the {CHECK:g} x that shows the NPU is really used."
    if high < CHECK:
        return f"{words}: less than the {CHECK:g} x that shows the NPU is really used; see `npurun-tui doctor`."
    return (
        f"{words}: about the {CHECK:g} x that shows the NPU is really used, and too close to it to tell; "
        "more repeats would."
    )


def _times(times: float, low: float, high: float, what: str) -> str:
    """`3.4 x as fast (3.2 to 3.6)`, with a digit more where the ends would look the same."""
    digits = 1 if times >= _MULTIPLE and high - low >= 0.1 else 2
    return f"{times:.{digits}f} x {what} ({low:.{digits}f} to {high:.{digits}f})"


def _how_much(difference: Difference) -> str:
    """`4.2 % slower (2.9 to 5.5 %)`, `3.4 x as fast (3.2 to 3.6)`."""
    ratio, low, high = difference.ratio, difference.low, difference.high
    if 1 / _MULTIPLE < ratio < _MULTIPLE:
        near, far = sorted((abs(_change(low)), abs(_change(high))))
        change = f"{_percent(abs(_change(ratio)))} {difference.verdict}"
        return f"{change} ({100 * near:.1f} to {_percent(far)})"
    what = "as long" if difference.figure == "ttft_ms" else "as fast"
    return _times(ratio, low, high, what)


def _too_few(difference: Difference) -> str:
    """That the runs could not have shown what people look for."""
    if difference.detectable <= _TOO_FEW:
        return ""
    runs = units.count(min(difference.n_a, difference.n_b), "run")
    return f" With {runs} and this noise only changes above {_percent(difference.detectable)} can be told."


def _change(ratio: float) -> float:
    return ratio - 1


def _percent(share: float) -> str:
    return f"{100 * share:,.0f} %" if share >= 1 else f"{100 * share:.1f} %"


def _kind(side: Side) -> str:
    """`NPU` or `CPU`; empty for an endpoint, of which nobody knows."""
    found = re.match(r"NPU\b|CPU\b", side.device)
    return found.group() if found else ""


def _name(side: Side) -> str:
    return one_line(side.label, 60)
