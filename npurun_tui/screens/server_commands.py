"""What the command palette offers of the Server tab."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand

if TYPE_CHECKING:
    from npurun_tui.screens.server import ServerPane


def commands(pane: ServerPane) -> Iterable[SystemCommand]:
    """What can be done now."""
    if not pane.changing:
        word = "Stop" if pane.running else "Start"
        yield SystemCommand(f"{word} the server", pane.url, pane.action_start_stop)
    yield SystemCommand("Set up the server", "Address, token, TLS, queue", pane.action_set_up)
    yield SystemCommand("Connect a client", "Texts to copy for each of them", pane.action_connect)
    yield SystemCommand("Filter the requests", "Client, model, status...", pane.action_filter)
    entry = pane.entry
    if entry is not None:
        yield SystemCommand("Details of the request", entry.state, pane.action_details)
        yield SystemCommand("Copy the request", "As a curl command", pane.action_copy_curl)
        if entry.live:
            yield SystemCommand("Abort the request", entry.client, pane.action_abort)
    yield SystemCommand("Forget all requests", "Empties the request log", pane.forget)
