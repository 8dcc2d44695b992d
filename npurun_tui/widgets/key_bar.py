"""The bottom line: the keys that work now, those of the focused part on the left, the program's own on the right.

Textual's `Footer` is a widget for each key and mounts them all anew whenever a key comes or goes, which here is at
nearly every move of the cursor. This one draws one line; where it is too narrow, left-hand keys are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import App
from textual.content import Content
from textual.dom import DOMNode
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class _Key:
    """One key as it is shown; `node` is who carries its action out."""

    display: str
    description: str
    action: str
    node: DOMNode

    @property
    def width(self) -> int:
        return Content(f" {self.display} {self.description} ").cell_length


class KeyBar(Widget):
    """Shows and, by the mouse, presses the keys whose bindings want to be shown."""

    COMPONENT_CLASSES = {"key-bar--key", "key-bar--description"}  # noqa: RUF012 - Textual's way

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._keys: list[_Key] = []
        self._places: list[tuple[int, _Key]] = []

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus or screen is not self.screen:
            return  # a dialog box in front shows its own keys; the line below it stays as it was
        shown: dict[str, _Key] = {}
        for node, binding, enabled, _ in screen.active_bindings.values():
            if binding.show and enabled:
                display = self.app.get_key_display(binding)
                key = _Key(display, binding.description, binding.action, node)
                shown.setdefault(binding.action, key)
        keys = list(shown.values())
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Content:
        """The line for the present width."""
        width = self.size.width
        right = [key for key in self._keys if isinstance(key.node, App)]
        start = width - sum(key.width for key in right)
        self._places = []
        position = 0
        for key in (key for key in self._keys if not isinstance(key.node, App)):
            if position + key.width > start:
                break
            self._places.append((position, key))
            position += key.width
        for key in right:
            self._places.append((max(0, start), key))
            start += key.width
        return self._line()

    def _line(self) -> Content:
        key_style = self.get_visual_style("key-bar--key")
        description_style = self.get_visual_style("key-bar--description")
        line = Content("")
        for position, key in self._places:
            line = Content.assemble(
                line.pad_right(max(0, position - line.cell_length)),
                Content.styled(f" {key.display} ", key_style),
                Content.styled(f"{key.description} ", description_style),
            )
        return line

    async def on_click(self, event: Click) -> None:
        """Do what the key under the pointer would do."""
        if event.button != 1:
            return
        for position, key in self._places:
            if position <= event.x < position + key.width:
                await self.app.run_action(key.action, key.node)
                return
