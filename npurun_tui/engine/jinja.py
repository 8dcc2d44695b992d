"""Jinja as chat templates expect it (the conventions of `transformers`), sandboxed and bounded.

Jinja itself is imported by the first call: whoever only opens the workbench does not wait for it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

MAX_PROMPT: Final = 16_000_000
"""Characters; far above any context window, far below what hurts."""


def environment() -> Any:
    """A new environment; 5 ms with the first import."""
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what is trained on (transformers); for a prompt it means nothing."""

        tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    class Sandbox(ImmutableSandboxedEnvironment):
        """Also bounds what a single expression can grow: `'a' * 10**12`, `'%999999999d' % 1`."""

        intercepted_binops = frozenset(["*", "**", "%"])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "*" and _repeats(left, right):
                raise SecurityError("a repetition is too long")
            if operator == "**" and not (abs(left) <= 1_000_000 and abs(right) <= 64):
                raise SecurityError("a power is too large")
            if operator == "%" and isinstance(left, str):
                raise SecurityError("formatting with % is not supported")
            return super().call_binop(context, operator, left, right)

    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment


def _repeats(left: Any, right: Any) -> bool:
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | bytes | list | tuple) and isinstance(times, int):
            return len(value) * max(times, 0) > MAX_PROMPT
    return False


def _raise_exception(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own filter this one escapes nothing for HTML: prompts are not web pages."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
