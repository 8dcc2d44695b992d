"""Argument parsing only."""

from __future__ import annotations


def main() -> int:
    """Placeholder."""
    return 0
