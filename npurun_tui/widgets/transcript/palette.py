"""Style names of rendered lines as terminal styles of the current theme.

A name such as `"strong link"` is a set of component classes of the transcript (`transcript--strong`), whose rules
are in `styles/transcript.tcss`. Each combination is looked up once for a theme; there are a few dozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.style import Style
    from textual.widget import Widget

NAMES: Final = (
    *(
        "role-user",
        "role-assistant",
        "role-system",
        "cursor",
        "hint",
        "activity",
        "outcome",
        "footer",
    ),
    *("strong", "em", "strike", "inline-code", "link", "url", "h1", "h2", "h3"),
    *("bullet", "quote-bar", "border", "code", "code-bar", "code-label", "code-comment"),
    *("code-keyword", "code-string", "code-number", "code-type", "code-name", "code-error"),
)

PREFIX: Final = "transcript--"
COMPONENTS: Final = {PREFIX + name for name in NAMES}


class Palette:
    """The styles of one widget; `clear` it when its theme or state changes."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[tuple[str, str], Style] = {}

    def clear(self) -> None:
        """Forget all styles."""
        self._styles.clear()

    def style(self, names: str, fill: str = "") -> Style:
        """The style of a run; `fill` is the style of the row it stands in."""
        style = self._styles.get((names, fill))
        if style is None:
            words = dict.fromkeys((*fill.split(), *names.split()))
            classes = [PREFIX + word for word in words]
            style = self._widget.get_visual_style(*classes).rich_style
            self._styles[names, fill] = style
        return style
