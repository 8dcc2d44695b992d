"""The panel of facts by itself: lines as wide as the panel, in whatever writing."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from npurun_tui.widgets.facts import FactsPanel


class PanelApp(App[None]):
    """The panel, and nothing else."""

    def compose(self) -> ComposeResult:
        yield FactsPanel()

    @property
    def lines(self) -> list[str]:
        return str(self.query_one("#facts-text").render()).split("\n")


@pytest.mark.parametrize("width", [40, 90])
async def test_wide_letters_are_wrapped_by_their_cells(width: int) -> None:
    app = PanelApp()
    async with app.run_test(size=(width, 30)) as pilot:
        panel = app.query_one(FactsPanel)
        facts = (("Licence", "字" * 60), ("Architecture", "字" * 10), ("Context", "4,096 tokens"))
        panel.say("model", facts=facts, sections=(("Files", ("字" * 60, "a " * 60)),))
        await pilot.pause()
        assert all(cell_len(line) <= panel.content_size.width for line in app.lines)
        assert sum(line.count("字") for line in app.lines) == 130, "nothing is lost"
        wrapped = [line for line in app.lines if line.startswith("    字")]
        assert wrapped, "what goes on stands a little to the right"
