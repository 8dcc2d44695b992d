"""Ollama's dialect: `/api/*`, as the clients that were written against it expect it.

`requests` and `answers` are the bodies, `asks` makes an `Ask` of a request, `lines` writes an answer's events as JSON
lines; `answering`, `embed`, `listing`, `show` and `changing` are the endpoints, `routes` declares them.

Forms and texts are Ollama's own (`server/routes.go`, `api/types.go` of August 2026).
"""

from npurun_tui.server.ollama.routes import routes

__all__ = ["routes"]
