"""Whose server answered a request: all servers of one state folder write one log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npurun_tui.storage.requests import RequestRow


def name_of(process: int) -> str:
    """A server by its process."""
    return f"pid {process}"


def servers_of(rows: Iterable[RequestRow], own: int) -> Mapping[int, str]:
    """By their processes, the names of the servers that answered `rows` and live, but for that of the process `own`.
    One that has ended was mostly this program before its last start: to mark all of its rows would mark nothing. Asks
    the system, once for each."""
    others = {row.process for row in rows} - {0, own}
    if not others:
        return {}
    import psutil  # 15 ms, only where there are other servers' requests

    return {pid: name_of(pid) for pid in others if _lives(psutil.pid_exists, pid)}


def _lives(exists: Callable[[int], bool], pid: int) -> bool:
    """What stands in a file may be no system's process id."""
    return 0 < pid < 2**31 and exists(pid)
