"""Conversations keep their cache: what several of them in turn would prefill again is saved, and brought back.

There is one dialog with one cache, and clients send whole transcripts, several of them interleaved. Before a query,
`cache` compares the prompt with what the dialog holds and with the snapshots on the disk (`folder`), and `planning`
chooses what costs least by the rates that were measured (`rates`).

What is chosen is a guess from texts, and a wrong one costs time only: whatever was restored, the turn's query is a
REWIND of the whole prompt, which compares it token by token with the tokens that were saved with the cache, and keeps
only those that are the same. So no answer can rest on a text that its own prompt does not have. Engines where that is
not known to hold after a restore (`Dialog.rewinds_restored`) have no snapshots.
"""

from npurun_tui.engine.conversations.cache import ConversationCache

__all__ = ["ConversationCache"]
