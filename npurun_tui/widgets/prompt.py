"""The prompt: a text box that sends with Enter and grows with what is typed.

It is Textual's `TextArea` without highlighting (the optional highlighters are native code that has crashed programs
at start). What is pasted is made printable first: what the user sees in the box is what is sent, and no control
character reaches the terminal or the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from npurun_tui.widgets.safe_input import SafeTextArea

NEWLINE_KEYS: Final = {"shift+enter", "alt+enter", "ctrl+j", "newline"}


class Prompt(SafeTextArea):
    """Enter sends; Shift+Enter, Alt+Enter or Ctrl+J start a new line.

    Up on the first row and Down on the last one go through earlier prompts; what was being written comes
    back at the end. The owner clears the box when it accepts what was submitted, so that nothing is lost
    when it cannot.
    """

    HELP = """\
    ## Prompt

    `Enter` sends, `Shift+Enter`, `Alt+Enter` or `Ctrl+J` start a new line. `Up` and `Down` at the first and
    last line bring back earlier prompts.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send"),
        Binding("ctrl+j", "newline", "New line", show=False),
    ]

    @dataclass
    class Submitted(Message):
        """The user sends `text`, which is not blank."""

        prompt: Prompt
        text: str

        @property
        def control(self) -> Prompt:
            """The prompt, for `@on` with a selector."""
            return self.prompt

    @dataclass
    class NothingToSend(Message):
        """Enter was pressed in an empty box; `hint` says what to do."""

        prompt: Prompt
        hint: str = "Type a message first."

        @property
        def control(self) -> Prompt:
            """The prompt, for `@on` with a selector."""
            return self.prompt

    def __init__(
        self,
        *,
        placeholder: str = "",
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(placeholder=placeholder, id=id, highlight_cursor_line=False)
        self._earlier: list[str] = []
        self._turn = 0  # how many prompts back the box is; 0 is what is being written
        self._draft = ""

    def set_history(self, prompts: Sequence[str]) -> None:
        """The prompts that Up brings back, oldest first."""
        self._earlier = list(prompts)
        self._turn = 0

    def write(self, text: str) -> None:
        """Put `text` into the box (to edit a message, or to give back what could not be sent)."""
        self.load_text(text)
        self.move_cursor(self.document.end)
        self._turn = 0

    # --- keys ----------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """Enter would be a new line in a text area."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()
        elif event.key in NEWLINE_KEYS:
            event.stop()
            event.prevent_default()
            self.action_newline()

    def action_submit(self) -> None:
        """Send the text, unless it is blank."""
        if self.text.strip():
            self.post_message(self.Submitted(self, self.text))
        else:
            self.post_message(self.NothingToSend(self))

    def action_newline(self) -> None:
        """Start a new line at the cursor, in place of what is selected."""
        start, end = self.selection
        self.replace("\n", start, end, maintain_selection_offset=False)

    def action_cursor_up(self, select: bool = False) -> None:
        """A row up; on the first one, the prompt before."""
        if not select and self._cursor_row() == 0 and self._turn < len(self._earlier):
            self._recall(self._turn + 1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A row down; on the last one, the prompt after."""
        last = self.wrapped_document.height - 1
        if not select and self._turn and self._cursor_row() == last:
            self._recall(self._turn - 1)
        else:
            super().action_cursor_down(select)

    def _cursor_row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _recall(self, turn: int) -> None:
        if self._turn == 0:
            self._draft = self.text
        text = self._earlier[-turn] if turn else self._draft
        self.write(text)
        self._turn = turn
