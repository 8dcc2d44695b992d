"""Quantities in words: one way to write a size, a speed, a duration, everywhere in the program."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes as people write disk sizes: powers of 1000, three significant digits (`98.4 MB`)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB" if value < 999.5 else f"{value:,.0f} TB"


def speed(bytes_per_second: float) -> str:
    """A transfer rate (`11.2 MB/s`, `8.0 MB/s`): a decimal that comes and goes would flicker."""
    value, names = float(bytes_per_second), ["GB", "MB", "kB", "B"]
    while value >= 999.5 and len(names) > 1:
        value /= 1000
        names.pop()
    decimals = 0 if names[-1] == "B" or value >= 99.95 else 1
    return f"{value:.{decimals}f} {names[-1]}/s"


def duration(seconds: float) -> str:
    """A duration to two parts: `850 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def whole_seconds(seconds: float) -> str:
    """A wait, at least a second: fractions of an estimate would only flicker."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else duration(whole)


def rate(tokens_per_second: float) -> str:
    """A token rate (`14.9 tok/s`)."""
    return f"{tokens_per_second:.1f} tok/s"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A counted noun: `1 token`, `12 tokens`, `1,024 tokens`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
