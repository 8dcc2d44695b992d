"""The transcript widget: messages in, streaming, the cursor over messages, copying.

Text that arrives is only put in a list; at most twelve times a second it is taken in, the open block is rendered
and the rows that changed are painted. No timer exists while nothing arrives.
"""

from __future__ import annotations

from asyncio import TimerHandle, get_running_loop
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Final, NewType

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message as TextualMessage

from npurun_tui.widgets.transcript.code import warm
from npurun_tui.widgets.transcript.document import Place
from npurun_tui.widgets.transcript.message import Entry, Message
from npurun_tui.widgets.transcript.selecting import fenced_code
from npurun_tui.widgets.transcript.window import HINT, DocumentWindow

MessageId = NewType("MessageId", int)

FRAME: Final = 1 / 12
"""Seconds between two times that text is taken in."""

SHARE: Final = 10
"""On a slow machine frames get longer: taking text in may use one part in this many of the time."""


class Transcript(DocumentWindow, can_focus=True):
    """A conversation.

    While its end is visible it stays at the end as text arrives; scrolling up stops that, `End` resumes it.
    Methods that take a `MessageId` ignore one that is gone, because an answer may still be streaming when
    its message is removed.
    """

    HELP = """\
    ## Transcript

    Read with the arrows, `PgUp`, `PgDn`, `Home` and `End`. `Alt+Up` and `Alt+Down` (or `k` and `j`) choose a
    message, `c` copies it, `y` copies its code blocks one after the other. Drag with the mouse to select;
    `Ctrl+C` copies what is selected.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+up,k", "walk(-1)", "Previous message", show=False),
        Binding("alt+down,j", "walk(1)", "Next message", show=False),
        Binding("c", "copy_message", "Copy message"),
        Binding("y", "copy_code", "Copy code"),
    ]

    @dataclass
    class CopyRequested(TextualMessage):
        """The user wants `text` in the clipboard; `what` names it ("message", "code block 2 of 3")."""

        transcript: Transcript
        text: str
        what: str

        @property
        def control(self) -> Transcript:
            """The transcript, for `@on` with a selector."""
            return self.transcript

    @dataclass
    class NothingToCopy(TextualMessage):
        """A copy was asked for where there is nothing to copy; `why` says so in a sentence."""

        transcript: Transcript
        why: str

        @property
        def control(self) -> Transcript:
            """The transcript, for `@on` with a selector."""
            return self.transcript

    @dataclass
    class CurrentChanged(TextualMessage):
        """Another message is the current one, or (nothing) none is."""

        transcript: Transcript
        current: MessageId | None

        @property
        def control(self) -> Transcript:
            """The transcript, for `@on` with a selector."""
            return self.transcript

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._changed: dict[int, None] = {}  # messages with something to take in, in order
        self._frame: TimerHandle | None = None
        self._next_frame = 0.0
        self._code_turn = 0
        self._warmed = False

    # --- messages ------------------------------------------------------------------------------

    def load(self, messages: Iterable[Entry]) -> list[MessageId]:
        """Show another conversation from its end; returns an id for each message."""
        self.clear()
        added = [MessageId(self._document.add(entry).serial) for entry in messages]
        self.show_end()
        return added

    def add(self, entry: Entry, *, live: bool = False) -> MessageId:
        """Append a message. A live one takes text until it is finished, and shows its activity."""
        message = self._document.add(entry, live=live)
        if live and not self._warmed:
            self._warmed = True
            # While the model reads the prompt there is time to import what the first code block needs.
            self.run_worker(warm, thread=True, group="transcript-warm", exit_on_error=False)
        self._unseen = self._unseen or not self.following
        self._lay_out()
        return MessageId(message.serial)

    def append_text(self, handle: MessageId, piece: str) -> None:
        """Add text to a live message; it is shown with the next frame. Costs a few microseconds."""
        message = self._message(handle)
        if message is not None:
            message.append(piece)
            message.activity = ""
            self._schedule(message)

    def set_activity(self, handle: MessageId, text: str) -> None:
        """What a live message waits for ("prefill 512/2,048"): one row below it, until text comes."""
        message = self._message(handle)
        if message is not None and message.activity != text:
            message.activity = text
            self._schedule(message)

    def finish(self, handle: MessageId, footer: str = "", outcome: str = "") -> None:
        """The message is complete: `footer` is a line of numbers, `outcome` how it ended, in words."""
        message = self._message(handle)
        if message is None:
            return
        message.footer = footer
        message.outcome = outcome
        message.finish()
        self._changed[message.serial] = None
        self._take_in()

    def truncate_from(self, handle: MessageId) -> None:
        """Remove this message and all later ones."""
        index = self._document.position(handle)
        if index is None:
            return
        if self._marked is not None and self._marked >= handle:
            self.current_message = None
        self._document.truncate(index)
        self._lay_out()

    def clear(self) -> None:
        """Remove all messages."""
        if self._document.messages:
            self.truncate_from(MessageId(self._document.messages[0].serial))
        self.screen.clear_selection()
        self._unseen = False
        self.show_end()

    def text_of(self, handle: MessageId) -> str:
        """The source text of a message; empty when it is gone."""
        message = self._message(handle)
        return message.source if message is not None else ""

    def _message(self, handle: int) -> Message | None:
        index = self._document.position(handle)
        return self._document.messages[index] if index is not None else None

    # --- frames --------------------------------------------------------------------------------

    def _schedule(self, message: Message) -> None:
        self._changed[message.serial] = None
        if self._frame is None:
            # Not `set_timer`: this is called for every token, and a timer of Textual's is a task.
            delay = max(0.0, self._next_frame - monotonic())
            self._frame = get_running_loop().call_later(delay, self.call_later, self._take_in)

    def _take_in(self) -> None:
        """A frame: take in what arrived, and paint it where it is visible."""
        self._cancel_frame()
        start = monotonic()
        for serial in self._changed:
            if self._document.position(serial) is not None:
                self._document.changed(serial)
                self._unseen = self._unseen or not self.following
        self._changed.clear()
        self._lay_out()
        end = monotonic()
        self._next_frame = max(start + FRAME, end + (end - start) * SHARE)

    def _cancel_frame(self) -> None:
        if self._frame is not None:
            self._frame.cancel()
            self._frame = None

    def on_unmount(self) -> None:
        """No frame outlives the widget."""
        self._cancel_frame()

    # --- the current message -------------------------------------------------------------------

    @property
    def current_message(self) -> MessageId | None:
        """The message that the cursor is on."""
        return MessageId(self._marked) if self._marked is not None else None

    @current_message.setter
    def current_message(self, handle: MessageId | None) -> None:
        marked = handle if handle is None or self._message(handle) is not None else None
        if marked != self._marked:
            self._marked = marked
            self._code_turn = 0
            self.refresh()
            self.post_message(self.CurrentChanged(self, marked))

    def action_walk(self, step: int) -> None:
        """Move the cursor a message up (-1) or down (1); from none to the last one that is visible."""
        messages = self._document.messages
        if not messages:
            return
        index = self._document.position(self._marked) if self._marked is not None else None
        if index is None:
            seen = self._document.position(self._rows[-1].serial) if self._rows else None
            index = len(messages) - 1 if seen is None else seen
        else:
            index = max(0, min(index + step, len(messages) - 1))
        self.current_message = MessageId(messages[index].serial)
        self._show_message(index)

    def _show_message(self, index: int) -> None:
        """Scroll as little as needed to see the message, or its beginning when it is long."""
        serial = self._document.messages[index].serial
        shown = [y for y, row in enumerate(self._rows) if row.serial == serial]
        height = len(self._rows)
        whole = self._document.measured(index)
        if shown and (len(shown) >= min(whole, height)):
            return
        below = bool(self._rows) and serial >= self._rows[-1].serial
        if below and whole < height:
            last = self._document.last_of(index)
            self.show_place(self._document.move(last, 1 - height))
        else:
            self.show_place(Place(index, 0, 0))

    def on_click(self, event: Click) -> None:
        """A click on a message makes it the current one; one on the hint goes to the end."""
        if event.y >= len(self._rows):
            return
        if (
            self._hinted
            and event.y == self.size.height - 1
            and event.x > self.size.width - len(HINT)
        ):
            self.show_end()
        elif not self.screen.selections:
            self.current_message = MessageId(self._rows[event.y].serial)

    # --- copying -------------------------------------------------------------------------------

    def action_copy_message(self) -> None:
        """Ask for a copy of the current message (without one, the last) as it was written."""
        message = self._chosen()
        if message is not None and message.source:
            self.post_message(self.CopyRequested(self, message.source, "message"))
        else:
            self.post_message(self.NothingToCopy(self, "There is no text to copy."))

    def action_copy_code(self) -> None:
        """Ask for a copy of the last code block of the current message; again for the one before it."""
        message = self._chosen()
        codes = fenced_code(message) if message is not None else []
        if not codes:
            self.post_message(self.NothingToCopy(self, "This message has no code block."))
            return
        index = len(codes) - 1 - self._code_turn % len(codes)
        self._code_turn += 1
        what = f"code block {index + 1} of {len(codes)}" if len(codes) > 1 else "code block"
        self.post_message(self.CopyRequested(self, codes[index], what))

    def _chosen(self) -> Message | None:
        if self._marked is not None:
            return self._message(self._marked)
        messages = self._document.messages
        return messages[-1] if messages else None
