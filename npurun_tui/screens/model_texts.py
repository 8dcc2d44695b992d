"""The Models tab's questions and its card for beginners. Knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from npurun_tui import units
from npurun_tui.screens.model_row import Kind, ModelRow

if TYPE_CHECKING:
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import Fit
    from npurun_tui.screens.model_local import Check

_NO: Final = "✗ no"
"""`ModelRow.runs` of what cannot run here."""
CHEAP: Final = 10_000_000
"""Bytes that may be thrown away without a question."""


def removal_question(row: ModelRow, *, in_use: bool = False) -> str:
    """What is lost, and exactly how much room it frees; `in_use` where the engine has it loaded."""
    what = "the part that has arrived" if row.kind in {Kind.PAUSED, Kind.FAILED} else "the model"
    loaded = (
        "The engine has this model loaded; unless an answer runs, it is unloaded first. "
        if in_use
        else ""
    )
    size = units.size(row.on_disk)
    return f"{loaded}This deletes {what} and frees {size} ({units.count(row.on_disk, 'byte')})."


def cancel_question(row: ModelRow, lost: int) -> str:
    """What cancelling a pull costs, and what costs nothing."""
    return (
        f"This throws away {units.size(lost)} of {row.label} that have arrived. "
        "Space pauses it instead, and keeps them."
    )


def unsuited_question(entry: CatalogEntry, fit: Fit) -> str:
    """Before a model is pulled that cannot run here."""
    size, room = entry.about(entry.installed_size), entry.about(entry.room)
    return f"{fit.words}\n\nIt takes {size} all the same, and {room} while it is pulled."


def check_notice(check: Check, integrity: str, mend: str) -> str:
    """What came of hashing a model's files."""
    if not check.faults:
        files = units.count(len(check.verdicts), "file")
        agree = "is" if len(check.verdicts) == 1 else "are"
        return f"{check.name}: {files} {agree} what the manifest says ({integrity})."
    shown = ", ".join(check.faults[:3]) + (", …" if len(check.faults) > 3 else "")
    return f"{check.name} is not what its manifest says: {shown}. {mend}"


def arrived(name: str, fit: Fit | None) -> str:
    """A model is there. What cannot run here is not recommended; `fit` is None where that is not known."""
    if fit is not None and not fit.runs:
        return f"{name} is installed. It cannot run here: {fit.words}"
    return f"{name} is installed. Press u to chat with it."


def first_model_card(rows: Sequence[ModelRow]) -> str:
    """What somebody without any model should do; empty where there is one."""
    if not rows or any(row.kind is Kind.INSTALLED for row in rows):
        return ""
    if pulling := [row.name for row in rows if row.on_its_way and row.runs != _NO]:
        return f"{pulling[0]} is on its way. When it is here, press u to chat with it."
    if elsewhere := [row.name for row in rows if row.elsewhere and row.runs != _NO]:
        return f"Another program works on {elsewhere[0]}. When it is here, press u to chat with it."
    able = [row for row in rows if row.pullable and row.runs != _NO]
    offered = next((row for row in able if row.kind is Kind.PAUSED), able[0] if able else None)
    if offered is None:
        return "No model is here yet, and none can be pulled that runs here."
    if offered.kind is Kind.PAUSED:
        return f"No model is here yet. Press Enter to go on pulling {offered.name}."
    return (
        "No model is here yet. Choose one below and press Enter to pull it; "
        f"{offered.name} ({offered.size}) is a good first one."
    )
