"""The Server tab: starting and stopping, setting up, and what can be done with the request under the cursor.

The server belongs to `ServerControl`, so that it goes on while another tab is shown. What is seen is `server_view`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from textual import work
from textual.app import SystemCommand
from textual.binding import Binding

from npurun_tui.errors import NpurunError
from npurun_tui.screens import server_words
from npurun_tui.screens.server_requests import ServerRequests
from npurun_tui.server.saved import dump_config, load_config
from npurun_tui.server.state import ServerState
from npurun_tui.widgets.notices import complain, say

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus
    from npurun_tui.server.config import ServerConfig
    from npurun_tui.server.control import ServerControl
    from npurun_tui.settings import Remembered

log = logging.getLogger(__name__)

REMEMBERED: Final = "server"
"""The name under which the set-up is kept between runs."""
_CHANGING: Final = (ServerState.STARTING, ServerState.STOPPING)


class ServerPane(ServerRequests):
    """The server, its set-up and its requests."""

    HELP = """\
    **s** starts and stops the server; it goes on while you are in other tabs. **e** sets it up: address, token, TLS,
    queue. **c** shows how clients are connected, with this server's address filled in.

    Below: every request, those on their way first. *TTFT* is the time to the first token, *In* and *Out* are tokens.
    A wide terminal shows more columns. **Enter** or **d** shows all of one request, and **y** copies it as a `curl`
    command. **x** aborts it. **/** filters by words, such as a client, a model, a status: `ollama 429`.

    *Status*: **▶** is on its way (*queued 2*: two come first; *loading* the model; *reading* the prompt; *writing*).
    **✓** was answered, and why the answer ended: *stop* by itself, *length* at its limit. **✗** was not: a status of
    400 and more, *broken* (it failed after its 200), *aborted* here, *stopped* with the server, *client left*.

    Refusals of one client and route that follow each other are one row: *429 ×12*. Its details list the newest, and
    the filter `429` shows them one by one.

    **◇** behind the time: another server answered it, which runs and writes the same log; *pid* is its process. Only
    that one can abort it.

    The table follows the newest request while the cursor is at its top. `/healthz` and `/metrics` are hidden until
    you filter for them. The plot is of answers that have ended.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("s", "start_stop", "Start/stop"),
        Binding("x", "abort", "Abort"),
        Binding("c", "connect", "Connect"),
        Binding("e", "set_up", "Set up"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("d", "details", "Details"),
        Binding("y", "copy_curl", "Copy curl", show=False),
        Binding("escape", "escape", "Show all", show=False),
    ]

    def __init__(
        self,
        control: ServerControl,
        engine: Callable[[], EngineStatus | None],
        remembered: Remembered,
        default: ServerConfig,
        installed: Callable[[], Sequence[str]],
    ) -> None:
        """`installed` names the models that are here; it may block."""
        super().__init__(control, engine, load_config(remembered.get(REMEMBERED), default))
        self._remembered = remembered
        self._installed = installed

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 - Textual calls it by position
    ) -> bool | None:
        """The footer offers only what can be done now."""
        entry = self.entry
        allowed = {
            "start_stop": not self.changing,
            "details": entry is not None,
            "copy_curl": entry is not None,
            "abort": entry is not None and entry.live and not entry.server,
            "escape": self.has_class("-filtered"),
        }
        return allowed.get(action, True)

    # --- starting and stopping -----------------------------------------------------------------

    @property
    def running(self) -> bool:
        """A server runs."""
        return self._control.status.state is ServerState.RUNNING

    @property
    def changing(self) -> bool:
        """It is being started or stopped."""
        return self._control.status.state in _CHANGING

    def action_start_stop(self) -> None:
        """Start the server, or stop it."""
        if self.running:
            self.stop()
        else:
            self.start()

    @work(group="server")
    async def start(self) -> None:
        """Start the server as it is set up."""
        await self._start()

    async def _start(self) -> None:
        try:
            await self._control.start(self.config)
        except NpurunError as error:
            if not self.is_on_screen:  # the tab has it in its note
                complain(self, error)

    @work(group="server")
    async def stop(self) -> None:
        """Stop the server, after a question where requests are on their way."""
        await self._stop()

    async def _stop(self) -> bool:
        active = self._control.status.active
        question = server_words.stop_question(active)
        if active and not await self.ask("Stop the server?", question, yes="Stop", no="No"):
            return False
        await self._control.stop()
        return True

    # --- setting up ----------------------------------------------------------------------------

    def action_set_up(self) -> None:
        """Change how the server is set up."""
        self.set_up()

    @work(group="setup", exclusive=True)
    async def set_up(self) -> None:
        """The dialog box; then the new tokens, once; then a restart, where the person wants it."""
        from npurun_tui.screens.server_settings import ServerSettingsScreen
        from npurun_tui.screens.server_token import TokenScreen

        box = ServerSettingsScreen(self.config, running=self.running)
        chosen = await self.app.push_screen_wait(box)
        if chosen is None:
            return
        self.config = chosen.config
        await self._remember()
        self.show()
        if chosen.token or chosen.admin_token:
            await self.app.push_screen_wait(TokenScreen(chosen))
        words = "The server goes on as it was started until then."
        title = "Restart the server now?"
        ask = self.running and self.pending
        if ask and await self.ask(title, words, yes="Restart", no="Later"):
            self.restart()

    async def _remember(self) -> None:
        try:
            await asyncio.to_thread(self._remembered.set, REMEMBERED, dump_config(self.config))
        except OSError as error:
            log.warning("the server's set-up was not remembered: %s", error)
            say(self, "The set-up counts now, but could not be kept for later.", severity="warning")

    @work(group="server")
    async def restart(self) -> None:
        """Stop, and start with the present set-up."""
        if await self._stop():
            await self._start()

    # --- the rest ------------------------------------------------------------------------------

    def action_connect(self) -> None:
        """How clients are connected."""
        self.connect()

    @work(group="connect", exclusive=True)
    async def connect(self) -> None:
        """The texts for clients, with a model of this machine filled in."""
        from npurun_tui.screens.server_connect import ConnectScreen
        from npurun_tui.server.snippets import Server, snippets

        model = await self._model()
        server = Server(self.url, model or "MODEL", token=bool(self.in_force.infer_token))
        note = "" if self.running else "The server does not run yet: s starts it."
        if not model:
            note = "No model is installed yet: pull one in the Models tab."
        self.app.push_screen(ConnectScreen(snippets(server), note))

    async def _model(self) -> str:
        status = self._engine()
        if status is not None and status.model is not None:
            return status.model.name
        names = await asyncio.to_thread(self._installed)
        return names[0] if names else ""

    def action_escape(self) -> None:
        """Take the filter away."""
        self.clear_filter()

    @work(group="forget")
    async def forget(self) -> None:
        """Empty the request log, after a question."""
        words = "What has ended is taken out of the log for good. What is on its way stays."
        if any(entry.server for entry in self.state.entries.values()):
            words += " Other servers write the same log: theirs goes, too."
        if not await self.ask("Forget all requests?", words, yes="Forget", no="No"):
            return
        try:
            await asyncio.to_thread(self._control.log.clear)
        except NpurunError as error:
            complain(self, error)

    def palette_commands(self) -> Iterable[SystemCommand]:
        """The commands of this tab."""
        from npurun_tui.screens.server_commands import commands

        return commands(self)
