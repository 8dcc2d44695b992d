"""Alt and a digit as what they are, in every terminal.

Without the kitty protocol (tmux, many terminals) they arrive as Escape and the digit. Textual's table takes some of
these pairs for the signs that Option types on an American Mac (`_ansi_sequences`, "\\x1b1" -> "¡"); such a
terminal sends the sign itself, so nothing is lost when the pairs are taken out, and Textual's parser then
reads `alt+1`.
"""

from __future__ import annotations

from typing import Final

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

PAIRS: Final = tuple(f"\x1b{digit}" for digit in range(10))


def free_alt_digits() -> None:
    """Have Alt and a digit be a key, in this process. Harmless when done twice."""
    if isinstance(ANSI_SEQUENCES_KEYS, dict):  # declared as a mapping
        for pair in PAIRS:
            ANSI_SEQUENCES_KEYS.pop(pair, None)
