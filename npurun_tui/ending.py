"""The signals by which programs are ended from outside, and which leave them a moment."""

from __future__ import annotations

import signal


def ending_signals() -> list[signal.Signals]:
    """What `timeout` sends, and a terminal that is closed, unless `nohup` has switched that off. On Windows nobody can
    send the first, and a closed terminal leaves no time."""
    known: list[signal.Signals] = [
        getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    return [each for each in known if signal.getsignal(each) is not signal.SIG_IGN]
