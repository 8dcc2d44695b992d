"""Telling somebody something, without being hurt by what they do with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

log = logging.getLogger(__name__)

P = ParamSpec("P")


def tell(listener: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call `listener`; what it raises is logged and goes no further.

    A screen's fault in hearing of a state must not lose the permit or the engine behind it.
    """
    try:
        listener(*args, **kwargs)
    except Exception:
        log.exception("a listener failed")
