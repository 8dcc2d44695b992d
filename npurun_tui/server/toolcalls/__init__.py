"""Tool calls as models write them, found in the answer's text while it arrives.

`tools` knows the tools that a request brought and makes calls of JSON and XML; `parsing` finds where a call may begin,
holds the text back until it is one or is none, and lets everything else through at once; `spans` and `frames` say where
one ends; `choice` is what `tool_choice` asks for.
"""

from __future__ import annotations

from npurun_tui.server.toolcalls.parsing import ToolParser
from npurun_tui.server.toolcalls.tools import Toolbox

__all__ = ["ToolParser", "Toolbox"]
