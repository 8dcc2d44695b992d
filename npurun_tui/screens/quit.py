"""The question before quitting, which follows what it asks about: a pull that ends behind it no longer stands in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from npurun_tui.screens.confirm import ConfirmScreen
from npurun_tui.units import count

READ: Final = 0.4
"""Seconds after which the question has been seen."""
FOLLOW: Final = 0.25
"""Seconds between two looks at what is on its way. Five owners would have to be listened to else, and the question is
there for a moment."""
_NOTHING: Final = (
    "Nothing is on its way any more. Quit?",
    "What was on its way has ended by itself.",
)


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """What quitting would stop. `chat` is only told beside something else: an answer alone is not asked about."""

    pulls: int = 0
    imports: int = 0
    requests: int = 0
    bench: bool = False
    chat: bool = False

    @property
    def asks(self) -> bool:
        """Quitting wants a question first."""
        return bool(self.pulls or self.imports or self.requests or self.bench)

    def question(self) -> tuple[str, str]:
        """Title and text: what stops, and what becomes of it."""
        if not self.asks:
            return _NOTHING
        parts = self._parts()
        one = self.pulls + self.imports + self.requests + self.chat + self.bench == 1
        are, way = ("is", "its way") if one else ("are", "their way")
        *first, last = [name for name, _ in parts]
        named = f"{', '.join(first)} and {last}" if first else last
        return f"{named} {are} on {way}. Quit?", " ".join(text for _, text in parts)

    def _parts(self) -> list[tuple[str, str]]:
        """Each with what becomes of it."""
        each = "the same model" if self.pulls == 1 else "each of them"
        parts = [
            (
                self.pulls,
                count(self.pulls, "pull"),
                f"{count(self.pulls, 'download')} will stop. What has arrived is kept, and pulling {each} "
                "next time goes on from there.",
            ),
            (
                self.imports,
                count(self.imports, "import"),
                f"{count(self.imports, 'import')} will be undone.",
            ),
            (
                self.requests,
                count(self.requests, "request"),
                "The server will stop: what it answers may finish for ten seconds, who only waits is refused at once.",
            ),
            (
                self.chat,
                "the chat's answer",
                "The chat's answer is stopped; what has come of it is kept.",
            ),
            (self.bench, "a bench", "The bench ends with what it has, which is kept."),
        ]
        return [(name, text) for there, name, text in parts if there]


class QuitScreen(ConfirmScreen):
    """Dismissed with True where the person quits."""

    def __init__(self, look: Callable[[], OnTheWay]) -> None:
        """`look` says what is on its way at this moment."""
        self._look = look
        super().__init__(*look().question(), yes="Quit", no="Stay")
        self._put = time.monotonic()

    def on_mount(self) -> None:
        """Follow what is on its way. The box stays when all has ended: a key meant for it would reach what is below."""
        self.set_interval(FOLLOW, self._follow)

    def _follow(self) -> None:
        self.reword(*self._look().question())

    def answer_again(self) -> None:
        """The quit key once more is a yes, unless it repeats, or two came in one read: no second decision."""
        if time.monotonic() - self._put >= READ:
            self.dismiss(True)
