"""What the command palette offers of the Bench tab."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand

if TYPE_CHECKING:
    from npurun_tui.screens.bench import BenchPane


def commands(pane: BenchPane) -> Iterable[SystemCommand]:
    """What can be done now."""
    if pane.running or pane.preparing:
        yield SystemCommand("Stop the bench", "It ends with what it has", pane.action_start_stop)
    else:
        yield SystemCommand("Start the bench", "Measures as set up", pane.action_start_stop)
    yield SystemCommand("Set up the bench", "Model, baseline, prompts, repeats", pane.action_set_up)
    yield SystemCommand("Earlier benches", "Show, compare, export, remove", pane.action_history)
    if pane.session is not None:
        kinds = "JSON, CSV, Markdown, SVG or HTML"
        yield SystemCommand("Export the bench", f"Write it as {kinds}", pane.action_export)
        yield SystemCommand("Copy the bench", "As Markdown", pane.action_copy)
    if pane.run_under_cursor is not None:
        yield SystemCommand("Details of the run", "Both clocks' figures", pane.action_details)
    if pane.kept is not None:
        yield SystemCommand("Back to the present bench", "From the history's", pane.action_back)
    if not pane.wide:
        yield SystemCommand("Next panel", "Figures, plots, or none", pane.action_panel)
