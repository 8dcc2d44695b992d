"""From a bundle's spec to its loaded dialog: find the runtime, make it loadable, open it, and say what went wrong."""

from __future__ import annotations

import logging

from npurun_tui.engine.dialog import GenieError
from npurun_tui.engine.genie import discovery, environment
from npurun_tui.engine.genie.bundle import read_bundle
from npurun_tui.engine.genie.dialog import GenieDialog
from npurun_tui.engine.genie.failures import load_failed
from npurun_tui.engine.genie.library import Library
from npurun_tui.engine.spec import ModelSpec
from npurun_tui.errors import EngineLoadFailed
from npurun_tui.text import one_line

log = logging.getLogger(__name__)


def open_bundle(spec: ModelSpec) -> GenieDialog:
    """Load the Genie bundle of `spec` (blocking, 5 to 35 seconds on the NPU).

    Raises:
        EngineUnavailable: there is no Genie runtime for this machine, or it is not whole.
        EngineLoadFailed: Genie refused the bundle; the text is Genie's own.
        ModelFileDamaged: a file of the bundle is missing or damaged.
    """
    if spec.model_file is None:
        raise EngineLoadFailed(f"The manifest of {one_line(spec.name)} names no genie_config.json.")
    runtime = discovery.find_runtime()
    environment.prepare(runtime)
    library = Library(runtime.library)
    log.info("Genie %s from %s (%s)", library.version_text, runtime.library, runtime.source)
    bundle = read_bundle(spec.model_file, library.version, context=spec.context)
    try:
        return GenieDialog(bundle, library)
    except GenieError as error:
        raise load_failed(spec.name, error) from error
