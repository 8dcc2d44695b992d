"""A model's name as a request has it. One that no model can have is refused in the words for one that is not here: to
who asks it is the same, and what a name of ours may hold is of no use to clients."""

from __future__ import annotations

from npurun_tui.errors import ModelError
from npurun_tui.models.names import normalise, not_here
from npurun_tui.server.faults import UnknownModel


def bare_name(name: str) -> str:
    """`name` as the store could know it, `:latest` taken off. What passes here cannot lead out of its folder.

    Raises:
        UnknownModel: no model of this program has such a name.
    """
    try:
        return normalise(name)
    except ModelError:
        raise unknown(not_here(name)) from None


def unknown(error: ModelError) -> UnknownModel:
    """In the store's own words: who chats is told the same by the engine's side, which asks the store as well."""
    return UnknownModel(error.message, mend=error.mend, param="model")
