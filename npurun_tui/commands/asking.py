"""A question on the terminal that is answered with yes or no."""

from __future__ import annotations

import sys


def agreed(question: str) -> bool:
    """Ask on stderr; only `y` and `yes` agree, an empty line and the end of the input do not.

    Raises KeyboardInterrupt at Ctrl+C. What is not ended by Enter leaves the cursor behind the question: it is set to
    the next line.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            sys.stderr.write("\n")
    return answer.strip().lower() in {"y", "yes"}
