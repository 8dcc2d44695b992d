"""What an answer has cost by now, also where nobody hears its end: its client left, or its process died.

The figures of a finished answer are in its `TurnStats`. One that is cut has none, and its tokens took the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

from npurun_tui.engine.dialog import QueryProfile


@dataclass(slots=True, eq=False)
class Tally:
    """Counts of one request's answers. Written on the engine's loop alone; read from any thread while it grows."""

    completion_tokens: int = 0
    """As many as the engine has called back: one call is one token, also where its text is held back."""
    prompt_tokens: int | None = None
    """Of the prompts that were read to their end; None where that is not known."""
    cached_tokens: int | None = None

    def read(self, profile: QueryProfile) -> None:
        """A prompt was read to its end, as `profile` tells."""
        whole = profile.prompt_tokens + profile.cached_tokens
        self.prompt_tokens = (self.prompt_tokens or 0) + whole
        self.cached_tokens = (self.cached_tokens or 0) + profile.cached_tokens
