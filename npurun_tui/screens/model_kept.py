"""Rows that are made once, for as long as what they are made from is the same. Knows no Textual."""

from __future__ import annotations

from collections.abc import Callable

from npurun_tui.screens.model_row import Kind, ModelRow

_Made = tuple[tuple[object, ...], ModelRow]


class KeptRows:
    """While something is pulled all rows are asked for four times a second, and nearly all of them are as before.

    A row that was kept is the same object again, so that what follows from it need not be made anew either.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Kind, str], _Made] = {}

    def row(
        self, kind: Kind, name: str, made_from: tuple[object, ...], make: Callable[[], ModelRow]
    ) -> ModelRow:
        """What `make` gives, which may depend on `made_from` and on nothing else."""
        made = self._made.get((kind, name))
        if made is None or made[0] != made_from:
            made = self._made[kind, name] = (made_from, make())
        return made[1]
