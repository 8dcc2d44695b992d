"""The one main screen: tab bar, the panes, status bar and keys.

A pane is made on its first visit and then kept, so that what runs in it goes on behind the other tabs.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from npurun_tui.screens.messages import UseModel
from npurun_tui.screens.tabs import Focusing, ModelUser, TabSpec
from npurun_tui.widgets.copying import copy_from
from npurun_tui.widgets.key_bar import KeyBar
from npurun_tui.widgets.status_bar import StatusBar
from npurun_tui.widgets.tab_bar import TabBar

DIGITS = (1, 2, 3, 4)
"""One for each tab."""
MIN_WIDTH = 60
MIN_HEIGHT = 16


class MainScreen(Screen[None]):
    """What the workbench shows; it knows its tabs only by their specs."""

    HELP = """\
    Digits open tabs; **Alt** and a digit does so while you type, too. **Tab** moves between the parts of a tab,
    **Ctrl+P** finds the commands of this tab by name, **Ctrl+Q** quits. Drag with the mouse to select, **Ctrl+C**
    copies it.
    """

    BINDINGS = [  # noqa: RUF012 - Textual's way
        *(Binding(str(n), f"show_tab({n - 1})", f"Tab {n}", show=False) for n in DIGITS),
        *(
            Binding(f"alt+{n}", f"show_tab({n - 1})", f"Tab {n}", show=False, priority=True)
            for n in DIGITS
        ),
        # Before the focused part: scrolling containers have these keys too, for scrolling sideways.
        Binding("ctrl+pagedown", "next_tab(1)", "Next tab", show=False, priority=True),
        Binding("ctrl+pageup", "next_tab(-1)", "Previous tab", show=False, priority=True),
    ]

    def __init__(self, program: str, tabs: Sequence[TabSpec], status: str) -> None:
        """`status` is the status bar's text until the engine has one."""
        super().__init__()
        self._program = program
        self._tabs = tabs
        self._focused_before: Widget | None = None
        """What had the keyboard before the terminal became too small."""
        self.status_bar = StatusBar(status, id="status-bar")
        """Told of many changes a second, so it is not looked for each time: a query walks through all tabs."""

    def compose(self) -> ComposeResult:
        """The first tab's pane is there at once; the others wait."""
        first = self._make(self._tabs[0])
        yield TabBar(self._program, [tab.title for tab in self._tabs], id="tab-bar")
        yield ContentSwitcher(first, id="panes", initial=first.id)
        yield self.status_bar
        yield KeyBar(id="key-bar")
        yield Static(id="too-small")

    def on_mount(self) -> None:
        """The keyboard belongs to the first pane."""
        self._focus_pane()

    def _make(self, tab: TabSpec) -> Widget:
        pane = tab.make()
        pane.id = tab.id
        return pane

    # --- tabs ----------------------------------------------------------------------------------

    @property
    def panes(self) -> ContentSwitcher:
        """The panes made so far."""
        return self.query_one("#panes", ContentSwitcher)

    @property
    def pane(self) -> Widget:
        """The pane that is shown."""
        shown = self.panes.visible_content
        assert shown is not None  # noqa: S101 - one is shown from the start
        return shown

    @property
    def tabs(self) -> Sequence[TabSpec]:
        """Every tab, visited or not."""
        return self._tabs

    async def show_tab(self, index: int) -> Widget:
        """Show the tab at `index`, making its pane where this is the first visit; returns the pane."""
        tab, panes = self._tabs[index], self.panes
        if panes.current != tab.id:
            if panes.query_children(f"#{tab.id}"):
                panes.current = tab.id
            else:
                await panes.add_content(self._make(tab), set_current=True)
            self.query_one(TabBar).active = index
            self._focus_pane()
            self.refresh_bindings()
        return self.pane

    def _focus_pane(self) -> None:
        if isinstance(self.pane, Focusing):
            self.pane.focus_main()

    async def action_show_tab(self, index: int) -> None:
        """Show a tab by its digit; digits without a tab do nothing."""
        if index < len(self._tabs):
            await self.show_tab(index)

    async def action_next_tab(self, step: int) -> None:
        """Go `step` tabs to the right, round the end."""
        await self.show_tab((self.query_one(TabBar).active + step) % len(self._tabs))

    @on(TabBar.Chosen)
    async def _tab_clicked(self, event: TabBar.Chosen) -> None:
        await self.show_tab(event.index)

    @on(UseModel)
    async def _use_model(self, event: UseModel) -> None:
        await self.use_model(event.name)

    async def use_model(self, name: str) -> None:
        """Bring the tab that works with a model to the front and give it this one."""
        for index, tab in enumerate(self._tabs):
            if tab.id == "chat":
                pane = await self.show_tab(index)
                if isinstance(pane, ModelUser):
                    pane.use_model(name)

    # --- copying -------------------------------------------------------------------------------

    def action_copy_text(self) -> None:
        """Copy what was selected with the mouse, by every road there is."""
        selected = self.get_selected_text()
        if not selected:
            raise SkipAction
        copy_from(self, selected)

    # --- size ----------------------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        """Follow the terminal."""
        self._fit(event.size)

    def on_screen_resume(self) -> None:
        """The terminal may have changed while a dialog box was in front, which hides resizes from us."""
        self._fit(self.app.size)

    def _fit(self, size: Size) -> None:
        """Below the smallest usable size one sentence covers everything; nothing under it is lost, and nothing of it
        hears a key: nobody should pull or remove what cannot be seen."""
        small = size.width < MIN_WIDTH or size.height < MIN_HEIGHT
        if small:
            sentence = (
                f"This terminal is {size.width} × {size.height}.\n"
                f"npurun-tui needs {MIN_WIDTH} × {MIN_HEIGHT}.\n\n"
                "Enlarge it to go on, or quit with ctrl+q."
            )
            self.query_one("#too-small", Static).update(Content(sentence))
        self.set_class(small, "-too-small")
        if small != self.panes.disabled:
            self._deafen(small)

    def _deafen(self, covered: bool) -> None:
        if covered:
            self._focused_before = self.focused
        self.panes.disabled = covered
        if not covered:
            before = self._focused_before
            if before is not None and self.pane in before.ancestors:
                before.focus()
            else:
                self._focus_pane()
