"""What makes the first paint and every later one quick; it has to be decided before Textual is imported."""

from __future__ import annotations

import gc
import os


def prepare() -> None:
    """Let Textual paint as soon as it can, unless the user's `TEXTUAL_FPS` says otherwise.

    After each paint its timer sleeps one to two periods, and a key typed meanwhile waits for that. At Textual's own
    60 a key is echoed within 34 ms at the 99th percentile while an answer streams, at 240 within 14 to 19, at 1000
    within 7 to 11, for the same share of the processor: what is painted rarely by choice (the transcript's twelve
    frames a second) is not painted more often by this.
    """
    os.environ.setdefault("TEXTUAL_FPS", "1000")
    # Nothing that start-up makes is garbage; looking through it again and again costs the first paint 20 ms. The app
    # switches collection on again once it is painted.
    gc.disable()
