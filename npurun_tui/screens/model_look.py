"""What the Models tab looks at: the models' folder, the room on its disk, and what this machine is.

Every look runs in a thread: a folder of models on a network drive must not stop the screen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual import work
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import Worker

from npurun_tui.screens import model_disk
from npurun_tui.screens.model_state import ModelsState
from npurun_tui.widgets.notices import complain

if TYPE_CHECKING:
    from npurun_tui.hardware.summary import RuntimeSummary
    from npurun_tui.models.catalog import CatalogEntry
    from npurun_tui.models.fit import MachineFacts
    from npurun_tui.models.jobs import PullManager
    from npurun_tui.models.store import ModelStore

CALM: Final = 0.5
"""Seconds until this machine is asked what runs on it: the modules for that would hold up the first keys."""
MEASURE: Final = 1.0
"""Seconds between two looks at the free space while something is pulled: microseconds of a thread."""
WATCH: Final = 2.0
"""Seconds between two looks whether another program has brought or removed a model, while the tab is seen."""


class ModelsLook(Widget):
    """Fills the state; what is drawn of it is a subclass's."""

    def __init__(
        self,
        store: ModelStore,
        pulls: PullManager,
        catalog: Callable[[], Sequence[CatalogEntry]],
        *,
        runtime: Callable[[], Awaitable[RuntimeSummary]],
        machine: Callable[[], Awaitable[MachineFacts]],
    ) -> None:
        """`catalog` may block: it is asked in a thread."""
        super().__init__()
        self._store = store
        self._pulls = pulls
        self._catalog = catalog
        self._ask_runtime_of = runtime
        self._ask_machine_of = machine
        self._found: RuntimeSummary | None = None
        self._asked = asyncio.Event()
        self.state = ModelsState(pulls)
        self._scanned = asyncio.Event()
        self._stale = True
        self._complained = ""
        self._measuring: Timer | None = None
        self._measured: Worker[None] | None = None
        self._watched: Worker[None] | None = None

    def show(self) -> None:
        """Draw what has changed."""
        raise NotImplementedError

    def show_disk(self) -> None:
        """Draw how much room there is."""
        raise NotImplementedError

    def show_runtime(self, words: str) -> None:
        """Draw what was found of the NPU."""
        raise NotImplementedError

    def begin_looking(self) -> None:
        """Look at the disk, and again whenever something may have changed."""
        self._measuring = self.set_interval(MEASURE, self._measure, pause=True)
        self.set_interval(WATCH, self._watch)
        self.scan()

    def look_again(self) -> None:
        """The tab is seen again: others may have written to the disk meanwhile."""
        self._measure()
        self._watch()

    def measure_often(self, often: bool) -> None:
        """Whether the free space is looked at again and again."""
        if self._measuring is not None:
            (self._measuring.resume if often else self._measuring.pause)()

    @work(exclusive=True, group="system")
    async def _ask_system(self) -> None:
        """Name the runtime that was found, or say that there is none; asking takes a second or two."""
        self._found = found = await self._ask_runtime_of()
        sign = "●" if found.ok else "○"
        self.show_runtime(f"{sign} {found.words}")
        self.set_timer(CALM, self._ask_machine)

    @work(exclusive=True, group="system")
    async def _ask_machine(self) -> None:
        """Say what runs here."""
        self.state.machine = await self._ask_machine_of()
        self.state.suit()
        self._asked.set()
        self.show()

    @work(exclusive=True, group="scan")
    async def scan(self) -> None:
        """Look at the disk in a thread: a folder of models on a network drive must not stop the screen."""
        self._stale = True
        look = asyncio.to_thread(model_disk.look, self._store, self._catalog)
        self.state.seen = seen = await look
        self._stale = False
        self._scanned.set()
        self.state.suit()
        self.state.drop_what_is_over()
        if seen.error is not None and str(seen.error) != self._complained:
            complain(self, seen.error)
        self._complained = str(seen.error or "")
        self.show()

    def _watch(self) -> None:
        """Other programs write to the models' folder as well."""
        if self.is_on_screen and not self._stale and _is_over(self._watched):
            self._watched = self._look_for_changes()

    @work(group="watch")
    async def _look_for_changes(self) -> None:
        marks = await asyncio.to_thread(model_disk.marks_of, self._store)
        if marks != self.state.seen.marks and not self._stale:
            self.scan()

    def _measure(self) -> None:
        """While something is written, the free space is looked at again and again."""
        if _is_over(self._measured):  # a network drive may take its time
            self._measured = self._look_at_space()

    @work(group="measure")
    async def _look_at_space(self) -> None:
        disk = await asyncio.to_thread(model_disk.measure, self._store.root)
        self.state.seen = replace(self.state.seen, disk=disk)
        self.show_disk()


def _is_over(worker: Worker[None] | None) -> bool:
    return worker is None or worker.is_finished
