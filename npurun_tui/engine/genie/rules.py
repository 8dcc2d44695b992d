"""What is known to go wrong in which release, and what we do about it: one table, each rule with its source.

Releases are told apart by the API version, which the library reports itself: 1.17 is QAIRT 2.45, 1.18 is 2.47, 1.19 is
2.48, 1.20 is 2.49 and 2.50, 1.21 is 2.51. Sources: "measured" (on the real library, through its public calls),
"device" (published observations on Snapdragon X), "source" (read in the example sources that ship with the SDK),
"docs" (release notes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]

HTP: Final = "QnnHtp"
"""`backend.type` of a bundle for the NPU. Findings made on the device hold for it and for no other backend."""

NEWEST: Final = (1, 999)


@dataclass(frozen=True, slots=True)
class Rule:
    """One defect or limit."""

    id: str
    title: str
    workaround: str
    """What this program does about it, or what a person can."""
    source: str
    first: tuple[int, int] = (1, 0)
    """The first API version with it."""
    last: tuple[int, int] = NEWEST
    """The last one."""
    htp_only: bool = True

    def holds(self, version: Version) -> bool:
        """True where the release with API `version` has it."""
        return self.first <= version[:2] <= self.last


SLOT_WEDGE: Final = Rule(
    "D1",
    "A conversation that grows past the smallest compiled context less the prefill width breaks the dialog.",
    "The context window is kept below that line; QAIRT 2.51 or newer has it whole.",
    "docs, device",
    (1, 20),
    (1, 20),
)
KV_POSITION: Final = Rule(
    "D2",
    "After a long, a short and another long query the context window is reported full too early.",
    "The dialog is built anew and asked again.",
    "docs, device",
    (1, 20),
    (1, 20),
)
SSD_AFTER_RESET: Final = Rule(
    "D5",
    "Self-speculative decoding (ssd-q1) gives damaged text after a reset.",
    "Such bundles are opened as basic dialogs.",
    "docs",
    (1, 20),
    (1, 20),
)
SLIDING_SNAPSHOT: Final = Rule(
    "D6",
    "A saved conversation of a bundle with sliding-window cache groups comes back wrong, or crashes the process.",
    "Such conversations are not saved.",
    "docs, device",
    (1, 20),
    (1, 21),
    htp_only=False,
)
GRAMMAR_LEAK: Final = Rule(
    "D4",
    "With a grammar the end-of-sequence token's text arrives as the last piece.",
    "It is cut off the answer.",
    "docs, device",
    (1, 20),
    (1, 21),
    htp_only=False,
)
REWIND_FAILS: Final = Rule(
    "R1",
    "REWIND always fails (-6) with Qwen3 bundles.",
    "Each turn is prefilled whole; QAIRT 2.51 or newer rewinds.",
    "device",
    (1, 18),
    (1, 18),
)
REWIND_DISCARD: Final = Rule(
    "R2",
    "REWIND that discards 1,000 tokens or more fails; 600 are safe.",
    "The conversation is prefilled whole instead.",
    "device (2.50)",
)
REWIND_TOP: Final = Rule(
    "R3",
    "REWIND to a prompt that differs near its top (another system prompt) returns -1 and poisons the dialog.",
    "The conversation is prefilled whole instead.",
    "device (2.50)",
)
REWIND_LONG: Final = Rule(
    "R4",
    "REWIND that discards anything is unreliable once the cache holds more than 3,150 tokens.",
    "The conversation is prefilled whole instead.",
    "device (2.50)",
)
REWIND_CUT: Final = Rule(
    "R5",
    "REWIND after a reply that max tokens cut off returns -1.",
    "The conversation is prefilled whole instead.",
    "device (2.50)",
)
EXTEND_LONG: Final = Rule(
    "R6",
    "A conversation that grows past 3,300 tokens by REWIND ends in errors.",
    "The conversation is prefilled whole instead, in a dialog made anew where R7 holds.",
    "device (2.50)",
)
RESET_LARGE: Final = Rule(
    "R7",
    "Reset after a large prefill wedges the dialog.",
    "The dialog is built anew instead (5 to 8 seconds).",
    "device (2.50)",
    (1, 20),
    (1, 20),
)
GRAPH_SWITCHING: Final = Rule(
    "X1",
    "A bundle with several graphs decodes with its prefill graph unless graph switching is on (0.6, not 12 tok/s).",
    "It is switched on exactly for such bundles.",
    "device (2.45)",
    (1, 17),
)
SAMPLER_INERT: Final = Rule(
    "X2",
    "Sampler settings of an open dialog cannot be changed.",
    "The dialog is built anew when they change.",
    "device (2.45)",
    (1, 17),
    (1, 17),
    htp_only=False,
)
GREEDY_ABORTS: Final = Rule(
    "X3",
    "Temperature 0 in an open dialog ends the process.",
    "Greedy is sent as top-k 1 at temperature 1.",
    "measured (2.47 to 2.51)",
    htp_only=False,
)
UNIFORM_NUCLEUS: Final = Rule(
    "X4",
    "Top-k 0 with top-p below 1 makes all tokens of the nucleus equally likely.",
    "Top-k off is sent as the size of the vocabulary.",
    "measured (2.47 to 2.51)",
    htp_only=False,
)
SIGNAL_LEAK: Final = Rule(
    "X8",
    "After a query that failed, an idle abort stops the next one at once.",
    "Aborts are sent only while a query runs, and such a query is asked again.",
    "source",
    htp_only=False,
)
POLICY_LOST: Final = Rule(
    "X10",
    "Reset puts the performance policy back to its default.",
    "It is set again after each reset.",
    "source",
    htp_only=False,
)
BUSY_POLL: Final = Rule(
    "X14",
    "Bundles come with `poll` on, which keeps two to three CPU cores busy while the NPU works.",
    "It is off unless NPURUN_HTP_POLL=1 asks for it.",
    "device",
)

RULES: Final = (
    SLOT_WEDGE,
    KV_POSITION,
    GRAMMAR_LEAK,
    SLIDING_SNAPSHOT,
    SSD_AFTER_RESET,
    REWIND_FAILS,
    REWIND_DISCARD,
    REWIND_TOP,
    REWIND_LONG,
    REWIND_CUT,
    EXTEND_LONG,
    RESET_LARGE,
    GRAPH_SWITCHING,
    SAMPLER_INERT,
    GREEDY_ABORTS,
    UNIFORM_NUCLEUS,
    SIGNAL_LEAK,
    POLICY_LOST,
    BUSY_POLL,
)


def known_defects(version: Version, qairt: str = "") -> tuple[Rule, ...]:
    """The rules that hold for the release with API `version`; `qairt` is for the day when that no longer suffices."""
    del qairt
    return tuple(rule for rule in RULES if rule.holds(version))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a dialog of one release on one backend can bear. Counts are tokens; None is no limit."""

    smallest_tier: bool = False
    """The window is that of the smallest compiled context (D1)."""
    rewinds: bool = True
    """REWIND works at all (R1)."""
    most_discarded: int | None = None
    """A REWIND may cut so many tokens off the cache (R2)."""
    least_shared: int = 0
    """A REWIND that cuts must share so many tokens with the cache (R3)."""
    longest_cut: int | None = None
    """The cache above which a REWIND may cut nothing (R4)."""
    longest_extended: int | None = None
    """How long REWIND may let a conversation grow (R6)."""
    rewinds_after_cut: bool = True
    """REWIND works after a reply that max tokens ended (R5)."""
    largest_reset: int | None = None
    """The cache above which the dialog is built anew instead of reset (R7)."""
    sampler_inert: bool = False
    """Sampler settings take effect only in a new dialog (X2)."""
    rewinds_restored: bool = True
    """REWIND works on a conversation that was restored; what it is matched against is not saved."""


NEAR_TOP: Final = 64
"""Tokens: a prompt that differs before this place differs "near its top", in its system prompt."""

LARGE_PREFILL: Final = 1000
"""Tokens: what R7 calls large is not said; this is where the other findings of that release begin."""


def limits(version: Version, backend: str) -> Limits:
    """The limits of the release with API `version` on `backend` (`backend.type` of the bundle's config)."""
    inert = SAMPLER_INERT.holds(version)
    if backend != HTP:
        return Limits(sampler_inert=inert)
    return Limits(
        smallest_tier=SLOT_WEDGE.holds(version),
        rewinds=not REWIND_FAILS.holds(version),
        most_discarded=600,
        least_shared=NEAR_TOP,
        longest_cut=3150,
        longest_extended=3300,
        rewinds_after_cut=False,
        rewinds_restored=False,
        largest_reset=LARGE_PREFILL if RESET_LARGE.holds(version) else None,
        sampler_inert=inert,
    )
