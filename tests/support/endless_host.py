"""The real engine host with the real model, whose chat template is the first argument."""

from __future__ import annotations

import sys

from npurun_tui.engine import host
from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.prompting import Prompter
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.templates import JinjaTemplate


def main() -> None:
    """Serve, with the template of the command line."""
    source = sys.argv.pop(1)

    def prompter_for(_dialog: Dialog, _spec: ModelSpec) -> Prompter:
        return Prompter(JinjaTemplate(source, bos="", eos="", defuse=str), str)

    vars(host)["prompter_for"] = prompter_for
    host.main()


if __name__ == "__main__":
    main()
