"""How a function of the library fails: a status for the caller, and the words for stderr."""

from __future__ import annotations

from npurun_tui.engine.dialog import Status


class AbiError(Exception):
    """Ends a call with `status`; `words` go to stderr, as Genie's own do."""

    def __init__(self, status: Status, words: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def invalid_argument(words: str = "") -> AbiError:
    """-2."""
    return AbiError(Status.ERROR_INVALID_ARGUMENT, words)


def general(words: str) -> AbiError:
    """-1."""
    return AbiError(Status.ERROR_GENERAL, words)
