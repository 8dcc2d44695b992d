"""The real engine host with the real model, whose chat template is the first argument."""

from __future__ import annotations

import sys

from npurun_tui.engine import host
from npurun_tui.engine.dialog import Dialog
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.engine.templates import ChatTemplate, JinjaTemplate


def main() -> None:
    """Serve, with the template of the command line."""
    source = sys.argv.pop(1)

    def template_for(_dialog: Dialog, _spec: ModelSpec) -> ChatTemplate:
        return JinjaTemplate(source, bos="", eos="", defuse=str)

    vars(host)["template_for"] = template_for
    host.main()


if __name__ == "__main__":
    main()
