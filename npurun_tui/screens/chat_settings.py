"""The dialog box with a chat's model, system prompt and sampling settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static, TextArea

from npurun_tui.chat.fields import FIELDS, as_texts, parse_all
from npurun_tui.chat.model import ChatSettings
from npurun_tui.text import one_line
from npurun_tui.widgets.safe_input import SafeInput, SafeTextArea


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the dialog box was left with."""

    model: str
    settings: ChatSettings


class ChatSettingsScreen(ModalScreen[Chosen | None]):
    """Dismissed with the new values, or None where nothing is to change.

    Wrong values are named under the field and keep the box open: nothing typed is lost.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, models: list[str], model: str, settings: ChatSettings) -> None:
        """`models` are the installed ones; `model` may be another, which is no longer here."""
        super().__init__()
        self._models = models if model in models or not model else [model, *models]
        self._model = model
        self._settings = settings

    def compose(self) -> ComposeResult:
        """The form: one row for each entry of `FIELDS`."""
        texts = as_texts(self._settings)
        with Vertical(classes="dialog-box", id="chat-settings"):
            yield Static("Chat settings", classes="dialog-title")
            with VerticalScroll(id="chat-settings-form"):
                with Horizontal(classes="field"):
                    yield Label("Model", classes="field-label")
                    yield Select(
                        [(Content(one_line(name, 60)), name) for name in self._models],
                        value=self._model or Select.NULL,
                        allow_blank=not self._model,
                        prompt="none is installed",
                        compact=True,
                        id="model",
                    )
                yield Label("System prompt")
                yield SafeTextArea(self._settings.system, id="system", compact=True)
                for field in FIELDS:
                    with Horizontal(classes="field"):
                        yield Label(field.label, classes="field-label")
                        yield SafeInput(texts[field.key], id=field.key, compact=True)
                        yield Label(field.help, classes="field-help", id=f"{field.key}-help")
                with Horizontal(classes="field"):
                    yield Label("Stop at", classes="field-label")
                    yield SafeInput("".join(self._settings.stop[:1]), id="stop", compact=True)
                    yield Label("the answer ends before it", classes="field-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Save (ctrl+s)", id="save", variant="primary")

    def on_mount(self) -> None:
        """The system prompt is what is changed most."""
        self.query_one("#system").focus()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)

    @on(Button.Pressed, "#save")
    @on(Input.Submitted)
    def action_save(self) -> None:
        """Check every field; close only where all of them are right."""
        values, faults = parse_all(
            {f.key: self.query_one(f"#{f.key}", Input).value for f in FIELDS}
        )
        for field in FIELDS:
            help_line = self.query_one(f"#{field.key}-help", Label)
            help_line.update(Content(faults.get(field.key, field.help)))
            help_line.set_class(field.key in faults, "-fault")
        if faults:
            self.query_one(f"#{next(iter(faults))}", Input).focus()
            return
        stop = self.query_one("#stop", Input).value
        settings = replace(
            self._settings,
            system=self.query_one("#system", TextArea).text,
            stop=(stop, *self._settings.stop[1:]) if stop else (),
            **values,
        )
        model = self.query_one("#model", Select).value
        self.dismiss(Chosen(model if isinstance(model, str) else self._model, settings))
