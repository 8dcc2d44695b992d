"""The dialog box with the server's set-up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from npurun_tui.screens import server_fields
from npurun_tui.screens.server_fields import FIELDS, KEEP, NEW, NONE, TOOLS, Filled
from npurun_tui.screens.server_help import FIELD_HELP, SET_UP
from npurun_tui.server.config import ServerConfig
from npurun_tui.text import printable
from npurun_tui.widgets.field_row import FieldRow
from npurun_tui.widgets.safe_input import SafeInput

_CLOSED = "Escape leaves everything as it was."


@dataclass(frozen=True, slots=True)
class Chosen:
    """The set-up, and the new tokens' texts, which are in nothing else."""

    config: ServerConfig
    token: str = ""
    admin_token: str = ""


class ServerSettingsScreen(ModalScreen[Chosen | None]):
    """Dismissed with the new set-up, or None where nothing is to change.

    What is wrong is said in its own line, one thing at a time, and keeps the box open: nothing typed is lost.
    """

    HELP = SET_UP
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, config: ServerConfig, *, running: bool) -> None:
        """`running`: a server runs, to which changes come later."""
        super().__init__()
        self._config = config
        self._serving = running
        self._ready = False

    def compose(self) -> ComposeResult:
        """One row for each field, one line for faults, two buttons."""
        with Vertical(classes="dialog-box", id="server-box"):
            yield Static("Server set-up", classes="dialog-title")
            with VerticalScroll(id="server-form"):
                yield from self._rows()
            yield Static(id="server-fault", classes="dialog-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Save (ctrl+s)", id="save", variant="primary")

    def _rows(self) -> ComposeResult:
        config = self._config
        texts = server_fields.as_texts(config)
        for index, field in enumerate(FIELDS):
            with FieldRow(FIELD_HELP[field.key]):
                yield Label(field.label, classes="field-label")
                yield SafeInput(texts[field.key], compact=True, id=field.key)
                yield Label(field.help, classes="field-help")
            if index == 0:
                yield from _choice("Token", "token", _token_choices(config.infer_token))
                yield from _choice("Admin token", "admin-token", _admin_choices(config.admin_token))
                yield from _choice("Insecure", "insecure", _insecure(), _yes(config.insecure))
        yield from _choice("Tools", "tools", TOOLS, config.tools)
        yield from _choice("Log prompts", "log-prompts", _logging(), _yes(config.log_prompts))

    def on_mount(self) -> None:
        """The address is changed most."""
        self._say()
        self.query_one("#bind").focus()
        self._ready = True

    def _say(self, fault: str = "") -> None:
        later = "The server runs: changes count after a restart. " if self._serving else ""
        line = self.query_one("#server-fault", Static)
        line.update(Content(printable(fault or later + _CLOSED)))
        line.set_class(bool(fault), "-fault")

    @property
    def _filled(self) -> Filled:
        def chosen(key: str) -> str:
            return str(self.query_one(f"#{key}", Select).value)

        return Filled(
            {field.key: self.query_one(f"#{field.key}", Input).value for field in FIELDS},
            token=chosen("token"),
            admin_token=chosen("admin-token"),
            tools=chosen("tools"),
            log_prompts=chosen("log-prompts") == "yes",
            insecure=chosen("insecure") == "yes",
        )

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)

    @on(Button.Pressed, "#save")
    @on(Input.Submitted)
    def action_save(self) -> None:
        """Check every field; close only where all of them are right."""
        if self._ready:  # a quick hand is there before the fields are
            self._save()

    @work(exclusive=True)
    async def _save(self) -> None:
        filled = self._filled
        config, faults = server_fields.checked(filled, self._config)
        if not faults:
            faults = await asyncio.to_thread(server_fields.missing_files, config)
        if faults:
            self._refuse(faults)
            return
        self.dismiss(await asyncio.to_thread(_with_tokens, config, filled))

    def _refuse(self, faults: Mapping[str, str]) -> None:
        first = next(field.key for field in FIELDS if field.key in faults)
        self._say(faults[first])
        self.query_one(f"#{first}").focus()


def _with_tokens(config: ServerConfig, filled: Filled) -> Chosen:
    """`config` with the hashes of what was to be made."""
    from npurun_tui.server.tokens import hash_token, new_token

    token = new_token() if filled.token == NEW else ""
    admin = new_token() if filled.admin_token == NEW else ""
    if token:
        config = replace(config, infer_token=hash_token(token))
    if admin:
        config = replace(config, admin_token=hash_token(admin))
    return Chosen(config, token, admin)


Choices = Sequence[tuple[str, str]]


def _choice(label: str, key: str, choices: Choices, value: str | None = None) -> ComposeResult:
    with FieldRow(FIELD_HELP[key]):
        yield Label(label, classes="field-label")
        yield Select(
            [(words, name) for words, name in choices],
            value=choices[0][1] if value is None else value,
            allow_blank=False,
            compact=True,
            id=key,
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _token_choices(now: bytes) -> Choices:
    return _tokens(now, "none is asked for", "one is set, and stays", "make a new one, shown once")


def _admin_choices(now: bytes) -> Choices:
    return _tokens(
        now,
        "the same as above",
        "one is set, and stays",
        "a new one for pull and delete, shown once",
    )


def _tokens(now: bytes, none: str, keep: str, new: str) -> Choices:
    """What stays as it is comes first."""
    kept: Iterable[tuple[str, str]] = [(keep, KEEP)] if now else []
    return [*kept, (none, NONE), (new, NEW)]


def _insecure() -> Choices:
    return [("no", "no"), ("yes: other machines may ask without a token", "yes")]


def _logging() -> Choices:
    return [("no", "no"), ("yes: bodies are kept in the request log", "yes")]
