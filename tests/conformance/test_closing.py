"""A closed dialog is closed (item 58)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from npurun_tui.engine.dialog import Action, Dialog, GenieError, Sampler, Status
from tests.conformance.hearing import FOX, ask

CALLS: list[Callable[[Dialog], object]] = [
    lambda dialog: dialog.query("text"),
    lambda dialog: dialog.signal(Action.ABORT),
    lambda dialog: dialog.reset(),
    lambda dialog: dialog.set_stop_sequences([]),
    lambda dialog: dialog.set_max_tokens(1),
    lambda dialog: dialog.set_sampler(Sampler()),
    lambda dialog: dialog.save(Path("nowhere")),
    lambda dialog: dialog.restore(Path("nowhere")),
    lambda dialog: dialog.context_occupancy,
    lambda dialog: dialog.tokenize("text"),
    lambda dialog: dialog.detokenize([1]),
    lambda dialog: dialog.profile(),
]


def test_a_closed_dialog_refuses_everything_but_closing(another: Dialog) -> None:
    assert another.profile() is None
    another.set_max_tokens(2)
    ask(another, FOX)
    another.close()
    another.close()
    for call in CALLS:
        with pytest.raises(GenieError) as caught:
            call(another)
        assert caught.value.status == Status.ERROR_INVALID_HANDLE
