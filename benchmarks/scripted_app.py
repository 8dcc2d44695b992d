"""The workbench as it is, with the scripted engine process in the real one's place.

python -m benchmarks.scripted_app RATE PREPARED.json
"""

from __future__ import annotations

import sys

from npurun_tui import pacing, services
from npurun_tui.engine.engine import Engine
from npurun_tui.settings import Paths, Settings


def main() -> int:
    """Run it; it ends when it is quit."""
    paths = Paths.resolve()
    command = (sys.executable, "-m", "benchmarks.scripted_host", *sys.argv[1:3])

    class Scripted(services.Services):
        """Services whose engine starts `command`."""

        @property
        def engine(self) -> Engine:
            """Made once, as the real one."""
            if "engine" not in self.__dict__:
                self.__dict__["engine"] = Engine(log=self.paths.engine_log, command=command)
            engine: Engine = self.__dict__["engine"]
            return engine

    pacing.prepare()
    import npurun_tui.app

    vars(npurun_tui.app)["Services"] = Scripted
    return npurun_tui.app.run_workbench(paths, Settings())


if __name__ == "__main__":
    raise SystemExit(main())
