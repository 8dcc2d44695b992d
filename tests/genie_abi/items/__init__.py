"""The statements about Genie's C ABI that need no model, as programs over our own binding.

Each runs over any library that our binding opens: ours, and the real one. The numbers are those of the conformance
list in docs/real-library.md.
"""

from __future__ import annotations

from tests.genie_abi.items import basics, configs, dialogs, logs, nodes, profiles, samplers, tokens
from tests.genie_abi.items.world import ITEMS, Item, Seen, World

__all__ = [
    "ITEMS",
    "Item",
    "Seen",
    "World",
    "basics",
    "configs",
    "dialogs",
    "logs",
    "nodes",
    "profiles",
    "samplers",
    "tokens",
]
