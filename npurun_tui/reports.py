"""What the status bar is told: which parts report to it, from when on, and in which words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from npurun_tui.services import Services
from npurun_tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from npurun_tui.attach.services import Attachment
    from npurun_tui.bench.events import BenchEvent
    from npurun_tui.engine.engine import EngineStatus
    from npurun_tui.engine.surface import AnyEngine
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.jobs import PullJob, PullManager
    from npurun_tui.server.control import ServerControl
    from npurun_tui.server.state import ServerStatus

PROGRESS: Final = 0.25
"""Seconds between two looks at the pulls."""


class Reports:
    """The parts are built when the tab that needs one first asks for it here; from then on the status bar shows it."""

    def __init__(
        self,
        services: Services,
        attached: Attachment | None,
        *,
        bars: Callable[[], Iterable[StatusBar]],
        models_changed: Callable[[], None],
    ) -> None:
        """`bars` are the status bars that can be drawn now; `models_changed` hears that a client of the server has
        brought a model or taken one away."""
        self._services = services
        self._attached = attached
        self._bars = bars
        self._models_changed = models_changed
        self._place = ""
        self._following: list[Callable[[], None]] = []
        self._pulls_due: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Nothing reports any more."""
        for unsubscribe in self._following:
            unsubscribe()
        if self._pulls_due is not None:
            self._pulls_due.cancel()

    # --- who reports ---------------------------------------------------------------------------

    def follow_engine(self) -> AnyEngine:
        """The engine, reporting from now on."""
        if self._attached is not None:
            if not self._following:
                self._following.append(self._attached.engine.subscribe(self._engine_changed))
            return self._attached.engine
        if not self._services.built("engine"):
            self._following.append(self._services.engine.subscribe(self._engine_changed))
        return self._services.engine

    def follow_server(self) -> ServerControl:
        """The server, reporting from now on."""
        if not self._services.built("server"):
            self.follow_engine()  # which the server uses
            self._following.append(self._services.server.subscribe(self._server_changed))
            self._services.server.models_changed = self._models_changed
        return self._services.server

    def follow_bench(self) -> None:
        """Have the bench report from now on."""
        if not self._services.built("bench"):
            from npurun_tui.bench.hanging_up import HangUpGuard

            self._following.append(self._services.bench.subscribe(self._bench_changed))
            HangUpGuard(self._services.bench)

    def follow_pulls(self) -> PullManager:
        """The downloads, reporting from now on."""
        if not self._services.built("pulls"):
            self._following.append(self._services.pulls.subscribe(self._pull_changed))
        return self._services.pulls

    async def runtime(self) -> RuntimeSummary:
        """What models for the NPU would run on here; the status bar names it while no model is loaded."""
        found = await self._services.runtime()
        self._place = found.short
        self._show_engine()
        return found

    # --- what is told --------------------------------------------------------------------------

    def _engine_changed(self, _status: EngineStatus) -> None:
        self._show_engine()

    def _show_engine(self) -> None:
        from npurun_tui.engine.engine import EngineStatus
        from npurun_tui.widgets.status_text import describe

        if self._attached is not None:
            from npurun_tui.screens.attached_words import bar_words

            words = short = bar_words(self._attached.engine.status, self._attached.there.where)
        else:
            status = self._services.engine_status() or EngineStatus()
            words, short = describe(status, self._place), describe(status, short=True)
        for bar in self._bars():
            bar.show_engine(words, short)

    def _server_changed(self, status: ServerStatus) -> None:
        from npurun_tui.screens.server_words import bar_words

        for bar in self._bars():
            bar.show_server(bar_words(status))

    def _bench_changed(self, _event: BenchEvent) -> None:
        from npurun_tui.screens.bench_words import bar_words

        for bar in self._bars():
            bar.show_bench(bar_words(self._services.bench.state))

    def _pull_changed(self, job: PullJob) -> None:
        """What becomes of a pull is shown at once, its progress a few times a second: each tells of it ten times."""
        if job.state != "running" or job.progress is None:
            self._show_pulls()
        elif self._pulls_due is None:
            self._show_pulls_soon()

    def _show_pulls_soon(self) -> None:
        self._pulls_due = asyncio.get_running_loop().call_later(PROGRESS, self._show_pulls)

    def _show_pulls(self) -> None:
        from npurun_tui.widgets.status_text import describe_pulls

        if self._pulls_due is not None:
            self._pulls_due.cancel()
            self._pulls_due = None
        jobs = list(self._services.pulls.jobs.values())
        for bar in self._bars():
            bar.show_pulls(describe_pulls(jobs), describe_pulls(jobs, short=True))
        if any(job.state == "running" for job in jobs):
            self._show_pulls_soon()  # a server that falls silent tells nobody, and the speed goes down all the same
