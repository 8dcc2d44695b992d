"""A constraint as Genie takes it: the kind, and the path of a file that holds it (`GenieDialog_setGrammar`, API 1.21).

Whether the library reads the file at once or with the next query is not documented, so it stays for as long as the
constraint does. Only its owner can read it: a schema can say what somebody works on.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from npurun_tui.engine.dialog import GenieError, Status
from npurun_tui.engine.messages import Constraint
from npurun_tui.text import one_line

NONE = ("", "")
"""No grammar."""


def write(constraint: Constraint) -> tuple[str, str]:
    """`(kind, file)` of `constraint`, which is checked already. GBNF is xgrammar's EBNF.

    Raises:
        GenieError: -1, the file cannot be written.
    """
    schema = constraint.json_schema
    kind, text = ("ebnf", constraint.grammar)
    if schema is not None:
        kind, text = "json-schema", json.dumps(schema)
    try:
        handle, path = tempfile.mkstemp(prefix="npurun-", suffix=f".{kind}")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise GenieError(
            Status.ERROR_GENERAL, "GenieDialog_setGrammar", one_line(str(error))
        ) from error
    return kind, path


def remove(file: str) -> None:
    """Delete a file of `write`; one that cannot be deleted is left to the system's cleaning of its temporary folder."""
    if file:
        with suppress(OSError):
            Path(file).unlink()
