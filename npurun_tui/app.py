"""The Textual application: builds the services, owns their lifetime, and holds what belongs to no single tab.

That is: the command palette, help, quitting, and what happens on a fault of our own. The tabs are made in `own_tabs`.
Nothing heavy is imported before the first paint; `tests/unit/test_imports.py` keeps it so.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette
from textual.screen import Screen

from npurun_tui import __version__
from npurun_tui.crash import crash_sentence, write_crash_file
from npurun_tui.errors import ModelBusy, NpurunError
from npurun_tui.logs import configure_logging
from npurun_tui.reports import Reports
from npurun_tui.screens.main import MainScreen
from npurun_tui.screens.tabs import Commanding, TabSpec, plain_command
from npurun_tui.services import Services
from npurun_tui.settings import Paths, Settings
from npurun_tui.stylesheets import stylesheets
from npurun_tui.themes import ThemeChoice
from npurun_tui.widgets.alt_digits import free_alt_digits
from npurun_tui.widgets.notices import say
from npurun_tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from npurun_tui.attach.services import Attachment
    from npurun_tui.engine.spec import ModelSpec
    from npurun_tui.screens.quit import OnTheWay
    from npurun_tui.server.control import ServerControl

log = logging.getLogger(__name__)

AT_START = "○ stopped  no model  permit: free"
"""What `status_text.describe` says of an engine that was never used; importing it would cost the first paint."""


class WorkbenchApp(App[None]):
    """The workbench."""

    TITLE = "npurun-tui"
    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("ctrl+q", "quit", "Quit", key_display="^q", priority=True),
        Binding("q", "quit_by_letter", "Quit", show=False),
        # Before a dialog box, which lets no key of the app's through that has no priority.
        Binding("f1", "toggle_help", "Keys", key_display="F1", priority=True),
        Binding("escape", "close_help", "Close the help", show=False, priority=True),
        Binding("question_mark", "toggle_help", "Keys", show=False),
        Binding("f2", "toggle_dark", "Dark or light", show=False),
        Binding("ctrl+p", "command_palette", "Commands", key_display="^p", priority=True),
    ]
    PAUSE_GC_ON_SCROLL = True

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        *,
        model: str | None = None,
        attached: Attachment | None = None,
        token: str = "",
    ) -> None:
        """`model` is opened in the Chat tab at start; `attached` is the server that the workbench is attached to.

        `token` is for a server of this machine to which it may be offered to attach.
        """
        super().__init__(css_path=list(stylesheets()))
        free_alt_digits()
        self.services = Services(paths, settings)
        self.crash: Path | None = None
        """The crash file, where there was a fault of our own."""
        self.attached = attached
        self.attach_to: tuple[str, str] | None = None
        """Address and token of the server to which the person wants to be attached, once this app has ended."""
        self._token = token
        self._model_at_start = model
        self.reports = Reports(
            self.services, attached, bars=self._status_bars, models_changed=self._models_changed
        )
        self._themes = ThemeChoice(self, self.services.remembered)

    def get_default_screen(self) -> Screen[None]:
        """The main screen itself: an empty default screen below it would be laid out for nothing."""
        if self.attached is not None:
            from npurun_tui.attached_tabs import attached_tabs

            where = self.attached.there.where
            tabs = [TabSpec(*tab) for tab in attached_tabs(self, self.attached)]
            return MainScreen(f"npurun-tui at {where}", tabs, f"attached to {where}  ◐ looking")
        from npurun_tui.own_tabs import TABS

        tabs = [TabSpec(key, title, partial(make, self)) for key, title, make in TABS]
        return MainScreen(f"npurun-tui {__version__}", tabs, AT_START)

    @property
    def main(self) -> MainScreen:
        """The main screen, whatever dialog box is in front of it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)  # noqa: S101 - get_default_screen made it
        return screen

    # --- starting and ending -------------------------------------------------------------------

    def on_mount(self) -> None:
        """Choose the theme before the first paint and the rest after it."""
        self._themes.begin(self.services.settings.theme)
        self.call_after_refresh(self._after_first_paint)

    async def _after_first_paint(self) -> None:
        if not gc.isenabled():  # `pacing.prepare` has switched it off
            # What start-up has made stays for good: collections need not look through it again.
            gc.freeze()
            gc.enable()
        for warning in self.services.settings.warnings:
            say(self, warning, severity="warning")
        if self.attached is not None:
            self.reports.follow_engine()
            self.attached.begin()
        else:
            self.run_worker(self._offer_to_attach(), group="attach")
        if self._model_at_start:
            await self.main.use_model(self._model_at_start)

    async def _offer_to_attach(self) -> bool:
        """Ask whether to attach to a server of this machine, if one runs; True where the app ends for that."""
        if not await asyncio.to_thread(self.services.paths.beacon.exists):
            return False  # else HTTP need not be imported
        from npurun_tui.attached_tabs import offer

        self.attach_to = await offer(self, self._token)
        if self.attach_to is not None:
            self.exit()
        return self.attach_to is not None

    async def before_load(self, spec: ModelSpec) -> None:
        """Before a model for the NPU is loaded: the NPU may be in use by a server, which is better asked.

        Raises:
            ModelBusy: the person wants to be attached to that one, and the app ends.
        """
        if spec.backend == "genie" and await self._offer_to_attach():
            raise ModelBusy("The workbench attaches to the server that runs.")

    async def on_unmount(self) -> None:
        """The services end with the screen, and no longer report to it."""
        self.reports.end()
        try:
            if self.attached is not None:
                await self.attached.aclose()
            await self.services.aclose()
        except NpurunError as error:
            log.error("while closing: %s", error)  # the screen that could show it is gone

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A bare letter must not close a chat: one keypress beside the prompt would cost a draft or an answer."""
        if action == "quit_by_letter":
            # While the screen is built up no pane is shown yet, and keys are asked for already.
            return isinstance(self.screen, MainScreen) and self.screen.panes.current != "chat"
        if action == "close_help":  # else Escape is the focused part's
            return self._help_is_open
        if action == "toggle_help":  # the palette has no room for it
            return not isinstance(self.screen, CommandPalette)
        return super().check_action(action, parameters)

    async def action_quit_by_letter(self) -> None:
        """`action_quit`, where nothing is being written."""
        await self.action_quit()

    async def action_quit(self) -> None:
        """Quit; where something is on its way, ask first. The key again, once the question can be read, is a yes."""
        from npurun_tui.screens.quit import QuitScreen

        if isinstance(self.screen, QuitScreen):
            self.screen.answer_again()
        elif self._on_the_way().asks:
            await self.push_screen(
                QuitScreen(self._on_the_way), lambda yes: self._leave() if yes else None
            )
        else:
            self.exit()

    def _on_the_way(self) -> OnTheWay:
        from npurun_tui.screens.quit import OnTheWay

        pulls = len(self.services.pulls.open_jobs) if self.services.built("pulls") else 0
        if self.attached is not None:
            pulls = sum(job.open for job in self.attached.pulls.jobs.values())
        return OnTheWay(
            pulls,
            self._imports(),
            self.services.server.status.active if self.services.built("server") else 0,
            bench=self._bench_runs(),
            chat=self._chat_writes(),
        )

    def _leave(self) -> None:
        """Exit; where requests are answered, when they are done, with the screen there until then."""
        server = self.services.server if self.services.built("server") else None
        if server is None or not server.status.active:
            self.exit()
            return
        say(self, "Leaving when what the server answers now is done.")
        self.run_worker(self._stop_and_leave(server))

    async def _stop_and_leave(self, server: ServerControl) -> None:
        await server.stop(waiting=False)
        self.exit()

    def _chat_writes(self) -> bool:
        """The permit is the chat's; `action_quit` names that beside what it asks about."""
        status = self.services.engine_status()
        return status is not None and status.holder == "chat"

    def _bench_runs(self) -> bool:
        return self.services.built("bench") and self.services.bench.state.running

    def _imports(self) -> int:
        from npurun_tui.screens.models import ModelsPane

        return sum(pane.importing for pane in self.main.query(ModelsPane))

    # --- the status bar ------------------------------------------------------------------------

    def _status_bars(self) -> Iterable[StatusBar]:
        """The status bar; nothing while the screen is taken down, when services still tell of their end."""
        bar = self.main.status_bar if self.is_running else None
        return (bar,) if bar is not None and bar.is_attached else ()

    def _models_changed(self) -> None:
        """A client has brought a model or taken one away."""
        from npurun_tui.screens.models import ModelsPane

        if self.is_running:
            for pane in self.main.query(ModelsPane):
                pane.scan()

    # --- the terminal --------------------------------------------------------------------------

    def write_to_terminal(self, data: str) -> None:
        """Send an escape sequence past Textual's own drawing (the clipboard needs it inside tmux)."""
        if self._driver is not None:
            self._driver.write(data)
            self._driver.flush()

    # --- help and commands ---------------------------------------------------------------------

    def action_toggle_dark(self) -> None:
        """Switch between the dark and the light theme."""
        self._themes.toggle()

    def action_toggle_help(self) -> None:
        """Show or hide the panel with the focused part's help and keys."""
        if self._help_is_open:
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_close_help(self) -> None:
        """Escape leaves the help before it leaves what the help is about."""
        self.action_hide_help_panel()

    @property
    def _help_is_open(self) -> bool:
        """Asked at every key and every change of the focus, so only the screen's own children are looked at."""
        return bool(self.screen_stack and self.screen.query_children("HelpPanel"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every command by name, with the shown tab's own ones, whose names are never markup."""
        if isinstance(screen, MainScreen):
            if isinstance(screen.pane, Commanding):
                yield from map(plain_command, screen.pane.palette_commands())
            for index, tab in enumerate(screen.tabs):
                if tab.id != screen.pane.id:
                    show = partial(screen.action_show_tab, index)
                    yield SystemCommand(f"Go to {tab.title}", f"Open the {tab.title} tab", show)
        yield SystemCommand(
            "Dark or light", "Switch between the dark and the light theme", self.action_toggle_dark
        )
        yield from super().get_system_commands(screen)

    # --- faults of our own ---------------------------------------------------------------------

    def _handle_exception(self, error: Exception) -> None:
        """Keep a redacted report; Textual then ends the app (and lets tests see the exception)."""
        if self.crash is None:
            log.error("unexpected %s", type(error).__qualname__)
            try:
                self.crash = write_crash_file(error, self.services.paths.state)
            except OSError as fault:
                log.error("no crash file: %s", fault)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without the traceback with local variables that Textual would print here."""
        self.bell()
        self._close_messages_no_wait()


def run_workbench(
    paths: Paths,
    settings: Settings,
    *,
    model: str | None = None,
    address: str = "",
    token: str = "",
) -> int:
    """Run the workbench until it is quit; the process's exit status is returned.

    With an `address` it is attached to the server there from the start; it may also end to be attached to one.

    Raises:
        UsageError: `address` is none.
    """
    configure_logging(paths.log)
    app = WorkbenchApp(
        paths, settings, model=model, attached=_attachment(address, token), token=token
    )
    try:
        app.run()
        if app.attach_to is not None and not app.return_code:
            app = WorkbenchApp(paths, settings, attached=_attachment(*app.attach_to))
            app.run()
    finally:
        gc.enable()
    if app.return_code:
        print(crash_sentence(app.crash), file=sys.stderr)  # noqa: T201 - the screen is given back
    return app.return_code or 0


def _attachment(address: str, token: str) -> Attachment | None:
    if not address:
        return None
    from npurun_tui.attach.services import Attachment

    return Attachment(address, token)
