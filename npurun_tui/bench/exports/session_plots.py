"""The plots of a session, in the order in which they are shown."""

from __future__ import annotations

from npurun_tui.bench.exports.plots.by_length import decode_by_length, ttft_by_length
from npurun_tui.bench.exports.plots.by_run import decode_by_run
from npurun_tui.bench.exports.plots.by_turn import ttft_by_turn
from npurun_tui.bench.exports.plots.chart import Plot
from npurun_tui.bench.exports.plots.over_time import rate_over_time
from npurun_tui.bench.exports.plots.spread import spread
from npurun_tui.bench.records import Session


def plots(session: Session) -> list[Plot]:
    """Those for which something was measured."""
    found = (
        decode_by_run(session),
        ttft_by_length(session),
        decode_by_length(session),
        ttft_by_turn(session),
        rate_over_time(session),
        spread(session, "decode_tps"),
        spread(session, "ttft_ms"),
    )
    return [plot for plot in found if plot is not None]
