"""Nothing heavy is imported before the workbench has painted: seen from a child process, where nothing else imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "httpx",
    "sqlite3",
    "jinja2",
    "pypi_simple",
    "xllamacpp",
    "psutil",
    "cffi",
    "pygments",
    "markdown_it",
    "requests",
    "pydantic",
    "tree_sitter",
}

FIRST_PAINT = """
import asyncio, json, sys
from npurun_tui.app import WorkbenchApp
from npurun_tui.settings import Paths, Settings
from npurun_tui.widgets.row_table import RowTable

async def paint():
    paths = Paths.resolve()
    app = WorkbenchApp(paths, Settings.load(paths.config))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.query_one(RowTable).keys
        loaded = sorted(sys.modules)
    print(json.dumps(loaded))

asyncio.run(paint())
"""

SERVER_TAB = """
import asyncio, json, sys
from npurun_tui.app import WorkbenchApp
from npurun_tui.screens.server import ServerPane
from npurun_tui.settings import Paths, Settings

async def show():
    paths = Paths.resolve()
    app = WorkbenchApp(paths, Settings.load(paths.config))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        while not app.main.query(ServerPane):
            await pilot.pause(0.01)
        await pilot.press("e")
        await pilot.pause(0.5)
        loaded = sorted(sys.modules)
    print(json.dumps(loaded))

asyncio.run(show())
"""

COMMAND_LINE = "import json, sys, npurun_tui.cli; print(json.dumps(sorted(sys.modules)))"


def modules_after(script: str, home: Path) -> set[str]:
    """Top-level names of what a child process has imported when `script` has run."""
    environ = {**os.environ, "NPURUN_TUI_HOME": str(home)}
    environ.pop("NPURUN_MODELS_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_first_paint_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = modules_after(FIRST_PAINT, tmp_path)
    assert "textual" in modules
    assert modules & HEAVY == set()


def test_nothing_of_a_server_is_imported_before_one_is_started(tmp_path: Path) -> None:
    modules = modules_after(SERVER_TAB, tmp_path)
    assert "textual" in modules
    assert modules & {"starlette", "uvicorn", "httptools", "prometheus_client", "msgspec"} == set()


def test_the_command_line_does_not_even_import_textual(tmp_path: Path) -> None:
    assert modules_after(COMMAND_LINE, tmp_path) & (HEAVY | {"textual"}) == set()


def test_what_paints_an_attached_workbench_imports_nothing_heavy(tmp_path: Path) -> None:
    script = """
import json, sys
import npurun_tui.app, npurun_tui.attached_tabs, npurun_tui.screens.attached_models
from npurun_tui.attach.services import Attachment
Attachment("127.0.0.1:1")
print(json.dumps(sorted(sys.modules)))
"""
    modules = modules_after(script, tmp_path)
    assert "textual" in modules
    assert modules & (HEAVY | {"starlette", "uvicorn", "msgspec"}) == set()
