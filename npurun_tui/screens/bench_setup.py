"""The dialog box with what is to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from npurun_tui.screens import bench_fields
from npurun_tui.screens.bench_fields import FIELDS, Setup
from npurun_tui.screens.bench_help import FIELD_HELP, SET_UP
from npurun_tui.text import one_line, printable
from npurun_tui.widgets.field_row import FieldRow
from npurun_tui.widgets.safe_input import SafeInput

_CLOSED: Final = "Escape leaves everything as it was."
_ENERGY: Final = (
    ("yes, where this machine can: rests 10 s first", "yes"),
    ("no", "no"),
)


class BenchSetupScreen(ModalScreen[Setup | None]):
    """Dismissed with the new set-up, or None where nothing is to change.

    What is wrong is said in its own line, one thing at a time, and keeps the box open: nothing typed is lost.
    """

    HELP = SET_UP
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, setup: Setup, models: Sequence[str]) -> None:
        """`models` are those that can be measured; the set-up's may be another, which is no longer there."""
        super().__init__()
        self._setup = setup
        model = setup.model
        self._models = [*models] if model in models or not model else [model, *models]
        self._ready = False

    def compose(self) -> ComposeResult:
        """One row for each field, one line for faults, two buttons."""
        texts = bench_fields.as_texts(self._setup)
        with Vertical(classes="dialog-box", id="bench-box"):
            yield Static("What to measure", classes="dialog-title")
            with VerticalScroll(id="bench-form"):
                with FieldRow(FIELD_HELP["model"]):
                    yield Label("Model", classes="field-label")
                    yield self._model_choice()
                for field in FIELDS:
                    with FieldRow(FIELD_HELP[field.key]):
                        yield Label(field.label, classes="field-label")
                        yield SafeInput(texts[field.key], compact=True, id=field.key)
                        yield Label(field.help, classes="field-help")
                with FieldRow(FIELD_HELP["energy"]):
                    yield Label("Energy", classes="field-label")
                    value = "yes" if self._setup.plan.energy else "no"
                    yield Select(_ENERGY, value=value, allow_blank=False, compact=True, id="energy")
            yield Static(id="bench-fault", classes="dialog-help")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel (esc)", id="cancel")
                yield Button("Save (ctrl+s)", id="save", variant="primary")

    def _model_choice(self) -> Select[str]:
        chosen = self._setup.model or (self._models[0] if self._models else "")
        return Select(
            [(Content(one_line(name, 60)), name) for name in self._models],
            value=chosen or Select.NULL,
            allow_blank=not self._models,
            prompt="none is installed",
            compact=True,
            id="model",
        )

    def on_mount(self) -> None:
        """The model is what is chosen first."""
        self._say()
        self.query_one("#model").focus()
        self._ready = True

    def _say(self, fault: str = "") -> None:
        line = self.query_one("#bench-fault", Static)
        line.update(Content(printable(fault or _CLOSED)))
        line.set_class(bool(fault), "-fault")

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)

    @on(Button.Pressed, "#save")
    @on(Input.Submitted)
    def action_save(self) -> None:
        """Check every field; close only where all of them are right."""
        if not self._ready:  # a quick hand is there before the fields are
            return
        model = self.query_one("#model", Select).value
        setup, faults = bench_fields.checked(
            model if isinstance(model, str) else "",
            {field.key: self.query_one(f"#{field.key}", Input).value for field in FIELDS},
            energy=self.query_one("#energy", Select).value == "yes",
            before=self._setup.plan,
        )
        if faults:
            self._refuse(faults)
        else:
            self.dismiss(setup)

    def _refuse(self, faults: Mapping[str, str]) -> None:
        first = next(field.key for field in FIELDS if field.key in faults)
        self._say(faults[first])
        self.query_one(f"#{first}").focus()
