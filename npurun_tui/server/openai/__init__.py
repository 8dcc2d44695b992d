"""OpenAI's dialect: models, chat completions, completions, embeddings and the stateless part of responses.

Lenient in what it takes, exact in what it gives: unknown fields are ignored, null is a field that was left out, and
what cannot be done is refused by its name.
"""

from __future__ import annotations

from npurun_tui.server.openai.routes import routes

__all__ = ["routes"]
