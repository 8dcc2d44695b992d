"""What one tab asks of the workbench, and so of another tab."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass
class UseModel(Message):
    """Open the Chat tab with this installed model."""

    name: str
