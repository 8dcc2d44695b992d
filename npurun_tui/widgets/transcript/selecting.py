"""What a selection copies: the logical text of the sections it covers, off-screen ones too."""

from __future__ import annotations

from npurun_tui.widgets.transcript.blocks import code_blocks
from npurun_tui.widgets.transcript.document import SECTION_BITS, Document
from npurun_tui.widgets.transcript.message import Message

Point = tuple[int, int]
"""A section key and an offset in the section's logical text."""


def selected_text(document: Document, start: Point | None, end: Point | None) -> str:
    """The text between two points; nothing at an end means from the first or to the last message."""
    messages = document.messages
    if not messages:
        return ""
    first_key, first_at = start or (messages[0].serial << SECTION_BITS, 0)
    last_key, last_at = end or ((messages[-1].serial + 1) << SECTION_BITS, 0)
    parts: list[str] = []
    for index, message in enumerate(messages):
        base = message.serial << SECTION_BITS
        if base + (1 << SECTION_BITS) <= first_key or base > last_key:
            continue
        sections = document.sections(index)
        first = max(0, first_key - base)
        last = min(sections - 1, last_key - base)
        for section in range(first, last + 1):
            text = document.rendered(index, section).text
            key = base + section
            text = text[first_at if key == first_key else 0 : last_at if key == last_key else None]
            if text:
                parts.append((_joint(message, section) if parts else "") + text)
    return "".join(parts)


def _joint(message: Message, section: int) -> str:
    """What stands before a section that is not the first of what is copied."""
    block = message.block(section)
    if section == 1 or block is None:
        return "\n" if section == 1 else "\n\n"
    return block.joint


def fenced_code(message: Message) -> list[str]:
    """The fenced code blocks of a message; only a model's answer is Markdown."""
    return code_blocks(message.blocks()) if message.role == "assistant" else []
