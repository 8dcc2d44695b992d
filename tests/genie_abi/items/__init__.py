"""The statements about Genie's C ABI that need no model, as programs over our own binding.

Each runs over any library that our binding opens: ours, and the real one; docs/real-library.md says how. The numbers
between them are those of statements that need a model (tests/conformance has these).
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
