"""llama-server's `timings` block, which this program's own server sends too: an answer on the engine's clock."""

from __future__ import annotations

from typing import Any

from npurun_tui.attach.answer import figure, whole
from npurun_tui.bench.endpoint.hearing import Figures
from npurun_tui.bench.endpoint.said import rate
from npurun_tui.bench.records import Clock


def take_timings(timings: dict[str, Any], figures: Figures) -> None:
    """Write what `timings` says into `figures`.

    `prompt_ms` ends with the first token and `predicted_ms` begins with it, so that this has one token less than is
    counted (`slot.t_token_generation` in llama.cpp's server). `restore_ms` is this program's own.
    """
    reading, written = figure(timings.get("prompt_ms")), whole(timings.get("predicted_n"))
    restoring = figure(timings.get("restore_ms")) or 0.0
    figures.engine = Clock(
        reading + restoring if reading else None,
        rate(whole(timings.get("prompt_n")), reading),
        rate(None if written is None else written - 1, figure(timings.get("predicted_ms"))),
    )
    cached = whole(timings.get("cache_n"))
    figures.cached_tokens = figures.cached_tokens if cached is None else cached
