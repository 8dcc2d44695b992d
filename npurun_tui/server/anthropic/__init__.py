"""Anthropic's dialect: messages."""

from __future__ import annotations

from npurun_tui.server.anthropic.routes import routes

__all__ = ["routes"]
