"""Medians, spreads and verdicts, printed the same way by every benchmark."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Sequence


def machine() -> str:
    """One line about where this ran: cores and load matter to every figure."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load:.2f}, "
        f"Python {platform.python_version()}"
    )


def spread(values: Sequence[float], unit: str, digits: int = 3) -> str:
    """Median and range."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def verdict(name: str, value: float, limit: float, unit: str = "", *, least: bool = False) -> bool:
    """Print one line of the result; True where the limit is kept."""
    good = value >= limit if least else value <= limit
    sign = ">=" if least else "<="
    print(f"{'ok  ' if good else 'MISS'}  {name}: {value:.3f}{unit} ({sign} {limit:g}{unit})")
    return good


def all_kept(limits: Sequence[tuple[str, float, float]]) -> bool:
    """Print every verdict (not only those up to the first miss); True where all are kept."""
    kept = [verdict(*limit) for limit in limits]
    return all(kept)


def model_flags(parser: argparse.ArgumentParser) -> None:
    """Which installed model is used."""
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument(
        "--models", default="", help="the models' folder; the program's own where it is left out"
    )
