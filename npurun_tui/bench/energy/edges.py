"""What the ends of a span leave open: a stretch that straddles one is divided there by time alone.

Where the power jumps by J at the fraction u of a counter's step T, both sides are given the step's mean power, and so
each gets J u (1-u) T of the other's: J T/6 in the mean over all u, with the variance J^2 T^2/180. The mean has always
the same sign, so it adds up over many short spans. A gauge's reading stands for half an interval before and after it,
and a slow counter's step is seen up to an interval late; that has the variance J^2 interval^2/12.

Next to the stretch that straddles the end is the power of either side, which gives J. What is left open is not
corrected but told, as uncertainty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from npurun_tui.bench.energy.traces import Span, Stretch, Trace


def open_joules(
    trace: Trace, pieces: list[list[Stretch]], spans: Iterable[Span], interval: float
) -> float:
    """Mean square error of the energy in `spans`, J^2, of readings that were asked for every `interval` seconds."""
    leak = spread = 0.0
    late = interval**2 / 12 if trace.idle_reads or not trace.counts else 0.0
    for jump, step in _ends(pieces, spans):
        spread += jump**2 * late
        if trace.counts:
            leak += jump * step / 6
            spread += (jump * step) ** 2 / 180
    return leak**2 + spread


def _ends(pieces: list[list[Stretch]], spans: Iterable[Span]) -> Iterator[tuple[float, float]]:
    """For each end of a span: watts outside less those inside, and seconds of the stretch that straddles it."""
    begins = [piece[0].start for piece in pieces]
    for span in spans:
        for moment, outward in zip(span, (-1, 1), strict=True):
            piece = pieces[max(0, bisect_right(begins, moment) - 1)] if pieces else []
            at = bisect_right(piece, moment, key=lambda stretch: stretch.start) - 1
            if 0 < at < len(piece) - 1:
                jump = piece[at + outward].watts - piece[at - outward].watts
                yield jump, piece[at].end - piece[at].start
