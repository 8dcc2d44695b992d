"""What the command palette offers of the Models tab."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.app import SystemCommand

from npurun_tui import units
from npurun_tui.screens.messages import UseModel
from npurun_tui.screens.model_order import COLUMNS
from npurun_tui.screens.model_row import Kind, ModelRow
from npurun_tui.widgets.copying import copy_from

if TYPE_CHECKING:
    from npurun_tui.screens.models import ModelsPane


def commands(pane: ModelsPane) -> Iterable[SystemCommand]:
    """Every model's commands by its name, and those of the tab."""
    for row in pane.rows:
        yield from _pulling(pane, row)
        if row.kind is Kind.INSTALLED:
            use = partial(pane.post_message, UseModel(row.name))
            yield SystemCommand(f"Chat with {row.name}", "Open it in the Chat tab", use)
            word = "Stop verifying" if row.checking else "Verify"
            verify = partial(pane.verify, row.name)
            yield SystemCommand(f"{word} {row.name}", "Compare its files with the hashes", verify)
        if row.removable:
            remove = partial(pane.remove_model, row)
            freed = f"Frees {units.size(row.on_disk)}"
            yield SystemCommand(f"Remove {row.label}", freed, remove)
        if row.command:
            copy = partial(copy_from, pane, row.command)
            yield SystemCommand(f"Copy the command for {row.label}", row.command, copy)
    yield from map(_tab_command, _of_the_tab(pane))


def _pulling(pane: ModelsPane, row: ModelRow) -> Iterable[SystemCommand]:
    if row.pullable:
        pull = partial(pane.pull, row.name)
        yield SystemCommand(f"{row.pull} {row.name}", _what_pulling_does(row), pull)
    if row.on_its_way:
        pause = partial(pane.pause, row.name)
        yield SystemCommand(f"Pause the pull of {row.name}", row.progress, pause)
    if row.on_its_way or row.resumable:
        cancel = partial(pane.cancel, row)
        yield SystemCommand(
            f"Cancel the pull of {row.name}", "Throws away what has arrived of it", cancel
        )
    if row.kind is Kind.IMPORTING:
        cancel = partial(pane.cancel, row)
        yield SystemCommand(f"Cancel the import of {row.label}", row.progress, cancel)


def _what_pulling_does(row: ModelRow) -> str:
    if row.pull == "Replace":
        return "Pull it anew; the old one stays until that is done"
    return row.progress if row.resumable and row.progress else f"It takes {row.size} here"


_COLUMNS: Final = {
    "Model": "name",
    "Runs": "whether they run here",
    "On": "what they run on",
    "Quant": "quantisation",
}
"""Where the column's title would be no words."""
_TabCommand = tuple[str, str, Callable[[], object]]


def _of_the_tab(pane: ModelsPane) -> Iterable[_TabCommand]:
    yield "Import a model from a folder", "Copy, link or move it here", pane.action_import
    yield "Limit the bandwidth of pulls", "0 is no limit", pane.action_limit
    yield "Filter the models", "By name, quantisation, state", pane.action_filter
    if pane.has_class("-filtered"):
        yield "Show all models", "Take the filter away", pane.clear_filter
    for column in COLUMNS:
        by = f"Sort the models by {_COLUMNS.get(column, column.lower())}"
        yield by, "Again: reversed", partial(pane.sort_by, column)
    yield "Reverse the order of the models", "As the header shows", pane.action_reverse
    yield "NPU and runtime", "What was found of them", pane.action_runtime
    yield "Refresh the models", "Look at the disk again", pane.action_refresh
    if not pane.has_class("-wide"):
        yield "Show or hide the details", "Of the model under the cursor", pane.action_details


def _tab_command(command: _TabCommand) -> SystemCommand:
    title, words, action = command
    return SystemCommand(title, words, action)
