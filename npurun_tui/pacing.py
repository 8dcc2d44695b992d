"""What makes the first paint and every later one quick; it has to be decided before Textual is imported."""

from __future__ import annotations

import gc
import os


def prepare() -> None:
    """Let Textual paint up to 240 times a second, unless the user's `TEXTUAL_FPS` says otherwise.

    After each paint its timer sleeps one to two periods. At its own 60 a key typed while an answer streams is echoed
    after 34 ms at the 99th percentile, at 240 after about 15. What is painted less often by choice (the transcript's
    twelve frames a second) is not painted more often by this.
    """
    os.environ.setdefault("TEXTUAL_FPS", "240")
    # Nothing that start-up makes is garbage; looking through it again and again costs the first paint 20 ms. The app
    # switches collection on again once it is painted.
    gc.disable()
