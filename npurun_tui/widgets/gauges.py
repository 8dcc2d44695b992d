"""How the machine stands: each measure with its value and how it went, or all of them in one line.

What cannot be measured is named, in words: a gauge at zero would be taken for an idle part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from npurun_tui.widgets.plot_cells import sparkline

ABSENT: Final = "not measurable here"
_LABEL: Final = 12
_VALUE: Final = 10
_GAP: Final = "   "


@dataclass(frozen=True, slots=True)
class Gauge:
    """One measure. `words` is its present value, empty where it cannot be read here."""

    label: str
    words: str
    history: Sequence[float | None] = ()
    """The oldest first."""
    top: float = 0.0
    """What a full bar stands for; 0: the most that was seen."""


class Gauges(Widget):
    """One line where it is one line high; else a line for each gauge, with its history."""

    COMPONENT_CLASSES = {"gauges--label", "gauges--history"}  # noqa: RUF012 - Textual's way

    def __init__(self, *, nothing: str, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        """`nothing` is said before the first values."""
        super().__init__(id=id)
        self._nothing = nothing
        self._gauges: Sequence[Gauge] = ()

    def show(self, gauges: Sequence[Gauge]) -> None:
        """Show these."""
        if gauges != self._gauges:
            self._gauges = gauges
            self.refresh()

    def render(self) -> Content:
        """For the present size."""
        label = self.get_visual_style("gauges--label")
        if not self._gauges:
            return Content.styled(self._nothing, label)
        if self.size.height > 1:
            return Content("\n").join(self._row(gauge) for gauge in self._gauges)
        return self._line().truncate(self.size.width, ellipsis=True)

    def _line(self) -> Content:
        label = self.get_visual_style("gauges--label")
        parts = [
            Content.assemble(Content.styled(f"{gauge.label} ", label), gauge.words)
            for gauge in self._gauges
            if gauge.words
        ]
        absent = [gauge.label for gauge in self._gauges if not gauge.words]
        if absent:
            parts.append(Content.styled(f"{ABSENT}: {', '.join(absent)}", label))
        return Content(_GAP).join(parts)

    def _row(self, gauge: Gauge) -> Content:
        label = self.get_visual_style("gauges--label")
        name = Content.styled(f"{gauge.label:<{_LABEL}}", label)
        if not gauge.words:
            return Content.assemble(name, Content.styled(ABSENT, label))
        value = " " * max(0, _VALUE - cell_len(gauge.words)) + gauge.words
        known = [one for one in gauge.history if one is not None]
        room = self.size.width - _LABEL - _VALUE - 2
        line = sparkline(gauge.history, room, gauge.top or max(known, default=0.0))
        history = Content.styled(line, self.get_visual_style("gauges--history"))
        return Content.assemble(name, value, "  ", history)
