"""`python -m npurun_tui.engine.genie.ask LIBRARY`: open a Genie library and print what it says of itself, as JSON.

In a process of its own because native code that is opened can crash or hang, and what only wants to report it must
live on. Exit status 0, also where the library is refused: then the JSON holds `error`, a sentence.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from npurun_tui.engine.genie import declarations
from npurun_tui.engine.genie.library import Library
from npurun_tui.errors import NpurunError


def main() -> int:
    """Answer on the stdout that the process began with; what the library prints goes to stderr."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    path = Path(sys.argv[1]).absolute()
    if hasattr(os, "add_dll_directory"):
        os.environ["PATH"] = f"{path.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        os.add_dll_directory(str(path.parent))
    document: dict[str, object]
    try:
        library = Library(path)
    except NpurunError as error:
        document = {"error": error.message}
    else:
        known = sorted(declarations.SINCE.keys() - set(declarations.UNKNOWN))
        missing = [name for name in known if not library.has(name)]
        document = {"api": list(library.version), "missing": missing}
    answer.write(json.dumps(document))
    answer.flush()
    # No clean-up: a library's exit handlers are one more place to crash in.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
