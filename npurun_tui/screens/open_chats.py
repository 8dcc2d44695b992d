"""What the open chats have beside their messages: drafts, failures, what is not saved yet. Knows no Textual.

A chat that is left is read from the database when it is opened again. One that holds something the database has
not must stay open instead, or that would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from npurun_tui.chat.session import ChatSession


@dataclass(slots=True)
class OpenChat:
    """One open chat."""

    draft: str = ""
    """What stood in the prompt when another chat was shown."""
    activity: str = ""
    """What its answer waited for last, in words."""
    failure: str = ""
    """Why the last message has no answer; empty where it has one, or was not sent yet."""
    unsaved: bool = False
    """It could not be written to the database."""

    def begin(self) -> None:
        """An answer begins."""
        self.activity = self.failure = ""

    @property
    def idle(self) -> bool:
        """The database has all of it."""
        return not (self.draft.strip() or self.failure or self.unsaved)


class OpenChats:
    """The sessions that are open, each with its `OpenChat`."""

    def __init__(self) -> None:
        self._open: dict[ChatSession, OpenChat] = {}

    def __iter__(self) -> Iterator[ChatSession]:
        return iter(tuple(self._open))

    def of(self, session: ChatSession) -> OpenChat:
        """What `session` has; it is open from now on."""
        return self._open.setdefault(session, OpenChat())

    def find(self, chat_id: int) -> ChatSession | None:
        """The open session of the chat with that id."""
        return next((session for session in self if session.chat.id == chat_id), None)

    def blank(self) -> ChatSession | None:
        """An open chat in which nothing was sent yet."""
        return next((s for s in self if not s.chat.messages and s.chat.id is None), None)

    def unsaved(self) -> list[ChatSession]:
        """Those to be written again; one that is being answered is written at the end of its answer anyway."""
        return [s for s, kept in self._open.items() if kept.unsaved and not s.busy]

    def drop(self, chat_id: int) -> None:
        """Forget the chat with that id: it is deleted."""
        for session in self:
            if session.chat.id == chat_id:
                del self._open[session]

    def drop_idle(self, *, but: ChatSession) -> None:
        """Close every chat, except `but`, that the database has all of."""
        for session, kept in tuple(self._open.items()):
            if session is not but and kept.idle and not session.busy:
                del self._open[session]
