"""The words of the tabs that show a server elsewhere. Knows no Textual."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from npurun_tui import units
from npurun_tui.engine.engine import EngineState, EngineStatus
from npurun_tui.screens.model_words import BAR_WIDTH, bar
from npurun_tui.screens.server_entry import Entry, doing
from npurun_tui.server.config import ServerConfig
from npurun_tui.server.others import name_of
from npurun_tui.server.records import Phase, RequestRecord
from npurun_tui.server.state import ServerState, ServerStatus
from npurun_tui.text import one_line
from npurun_tui.widgets.row_table import Cell, Column
from npurun_tui.widgets.status_text import SIGNS, describe

if TYPE_CHECKING:
    from npurun_tui.attach.pulls import RemotePull
    from npurun_tui.attach.requests import RemoteRequest
    from npurun_tui.attach.there import RemoteDetails, RemoteLoaded, RemoteModel

COLUMNS: Final = (
    Column("Model", 24),
    Column("State", 18),
    Column("Size", 8, right=True),
    Column("Quant", 7, rank=2),
    Column("Context", 8, right=True, rank=1),
    Column("Can", 26, rank=3),
)
PULL: Final = "pull:"
"""Before the name, in the key of a pull's row."""
FOR_EVER: Final = 10 * 365 * 86400
_SOME: Final = b"?"
"""Stands for a token that is asked for: the words only need to know that there is one."""


def bar_words(status: EngineStatus, where: str) -> str:
    """The status bar: to what the workbench is attached, then how its engine stands."""
    if status.state is EngineState.FAILED and status.model is None and status.reason:
        reason = re.sub(r"^The server at \S+ ", "it ", one_line(status.reason, 200))
        return f"attached to {where}  {SIGNS['failed']} {reason}"
    return f"attached to {where}  {describe(status).replace(f' at {where}', '')}"


# --- models ------------------------------------------------------------------------------------


def model_rows(
    models: Sequence[RemoteModel],
    loaded: Mapping[str, RemoteLoaded],
    details: Mapping[str, RemoteDetails],
    pulls: Mapping[str, RemotePull],
) -> dict[str, tuple[Cell, ...]]:
    """The table's rows: pulls first."""
    rows = {f"{PULL}{name}": _pull_cells(job) for name, job in pulls.items()}
    for model in models:
        known = details.get(model.name)
        running = loaded.get(model.name)
        context = (running.context if running else 0) or (known.context if known else 0)
        rows[model.name] = (
            Cell(one_line(model.name, 60), "strong"),
            Cell(f"● {until(running)}", "good") if running else Cell("installed"),
            Cell(units.size(model.size) if model.size else ""),
            Cell(model.quantisation),
            Cell(f"{context:,}" if context else ""),
            Cell(", ".join(model.capabilities)),
        )
    return rows


def _pull_cells(job: RemotePull) -> tuple[Cell, ...]:
    if job.fault:
        state = Cell("✗ failed", "error")
    elif job.total:
        share = min(1.0, job.done / job.total)
        state = Cell(f"{bar(share, BAR_WIDTH)} {share * 100:.0f} %", "good")
    else:
        state = Cell(f"↓ {job.words}", "good")
    size = Cell(units.size(job.total) if job.total else "")
    return (Cell(one_line(job.name, 60)), state, size, Cell(""), Cell(""), Cell(""))


def until(loaded: RemoteLoaded) -> str:
    """How long a loaded model stays, from its RFC 3339 time."""
    try:
        left = datetime.fromisoformat(loaded.expires).timestamp() - time.time()
    except (ValueError, OverflowError):
        return "loaded"
    if left > FOR_EVER:
        return "loaded for ever"
    minutes = max(1, -(-int(left) // 60))
    return f"loaded, {minutes} min" if minutes < 100 else f"loaded, {minutes // 60} h"


# --- the server ----------------------------------------------------------------------------------


def entry_of(request: RemoteRequest, own: int) -> Entry:
    """A request as the Server tab's table shows it; `own` is the process of the server that told it, 0: not told."""
    if not request.live:
        other = own and request.row.process not in (0, own)
        return Entry(request.row, server=name_of(request.row.process) if other else "")
    phase: Phase = request.phase if request.phase in get_args(Phase) else "arrived"  # type: ignore[assignment]
    record = RequestRecord(
        phase=phase, ahead=request.ahead, read=request.read, status=request.row.status
    )
    return Entry(request.row, doing(record))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server told of itself, in the form that the Server tab's words are made of."""

    status: ServerStatus
    config: ServerConfig
    engine: EngineStatus
    process: int
    """Its process; 0 where it does not tell."""


def seen_of(standing: Mapping[str, Any], url: str) -> Seen:
    """From `/npurun/status`; what cannot be is left out."""
    holder, host = standing.get("holder"), standing.get("host")
    return Seen(
        ServerStatus(
            ServerState.RUNNING,
            url,
            started=_began(standing),
            active=_count(standing, "active"),
            total=_count(standing, "total"),
            failed=_count(standing, "failed"),
            prompt_tokens=_count(standing, "prompt_tokens"),
            completion_tokens=_count(standing, "completion_tokens"),
        ),
        ServerConfig(
            host=one_line(host, 80) if isinstance(host, str) else "",
            infer_token=_SOME if standing.get("token") is True else b"",
            admin_token=_SOME if standing.get("admin_token") is True else b"",
            tls_cert=Path("there") if standing.get("tls") is True else None,
            max_queue=_count(standing, "max_queue"),
        ),
        EngineStatus(
            holder=one_line(holder, 80) if isinstance(holder, str) and holder else None,
            waiting=("",) * min(_count(standing, "waiting"), 10_000),
        ),
        _count(standing, "process"),
    )


def _count(standing: Mapping[str, Any], key: str) -> int:
    value = standing.get(key)
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


def _began(standing: Mapping[str, Any]) -> float:
    """Unix seconds that a calendar has; 0 where it is not told."""
    value = standing.get("started")
    return value if isinstance(value, int | float) and 0 <= value < 2**36 else 0.0
