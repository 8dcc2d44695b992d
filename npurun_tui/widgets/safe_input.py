"""Text boxes into which no control character comes: what is seen in them is what is kept, sent, and drawn.

A terminal hands a pasted text on as it is, and Textual draws it as it is: a C1 control would be obeyed by the
terminal, and a bidirectional override would make the text read as another one.
"""

from __future__ import annotations

from textual.actions import SkipAction
from textual.strip import Strip
from textual.widgets import Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from npurun_tui.text import printable
from npurun_tui.widgets.copying import copy_from


class SafeTextArea(TextArea):
    """Makes every text that comes in printable, and copies by every road there is."""

    def __init__(
        self,
        text: str = "",
        *,
        placeholder: str = "",
        compact: bool = False,
        highlight_cursor_line: bool = True,
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(
            _typed(text),
            placeholder=placeholder,
            compact=compact,
            highlight_cursor_line=highlight_cursor_line,
            id=id,
        )

    def load_text(self, text: str) -> None:
        """Replace the text, made printable."""
        super().load_text(_typed(text))

    def edit(self, edit: Edit) -> EditResult:
        """Apply an edit, its text made printable."""
        safe = _typed(edit.text)
        if safe != edit.text:
            place = (edit.from_location, edit.to_location)
            edit = Edit(safe, *place, edit.maintain_selection_offset)
        return super().edit(edit)

    def render_line(self, y: int) -> Strip:
        """A row; in a terminal too narrow for one cell of text (where wrapping fails) an empty one."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(0)

    def action_copy(self) -> None:
        """Copy what is selected."""
        if not self.selected_text:
            raise SkipAction
        copy_from(self, self.selected_text)

    def action_cut(self) -> None:
        """Copy what is selected, or the line, and take it out."""
        before = self.text
        super().action_cut()
        if self.text != before:
            copy_from(self, self.app.clipboard)  # which the base class has just filled


class SafeInput(Input):
    """Makes every value printable, and copies by every road there is."""

    def validate_value(self, value: str) -> str:
        """The value, made printable; as long as before, so that the cursor keeps its place."""
        return printable(value.replace("\r", "\n"))

    def action_copy(self) -> None:
        """Copy what is selected."""
        if not self.selected_text:
            raise SkipAction
        copy_from(self, self.selected_text)

    def action_cut(self) -> None:
        """Copy what is selected and take it out."""
        if self.selected_text:
            copy_from(self, self.selected_text)
            self.delete_selection()


def _typed(text: str) -> str:
    """Printable text in which every kind of line ending (terminals paste CR) is a newline."""
    return printable(text.replace("\r\n", "\n").replace("\r", "\n"))
