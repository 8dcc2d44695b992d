"""Where a JSON value ends in a text that is still arriving: each character is looked at once."""

from __future__ import annotations

import re
from typing import Final

_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_INSIDE: Final = re.compile(r'["\\]')


class JsonSpan:
    """An object or a list that begins at `start`. It counts brackets and knows strings; whether what stands between
    is JSON at all is the parser's to say."""

    def __init__(self, start: int) -> None:
        self._at = start
        self._depth = 0
        self._string = False
        self.end = 0
        """Behind the last bracket; 0 while that has not come."""

    def scan(self, text: str) -> int:
        """Go on to the end of `text`, which has grown; returns `end`."""
        while not self.end:
            found = (_INSIDE if self._string else _OUTSIDE).search(text, self._at)
            if found is None:
                self._at = max(self._at, len(text))
                break
            sign, at = found[0], found.end()
            if sign == "\\":
                if at >= len(text):
                    self._at = at - 1
                    break
                at += 1
            elif sign == '"':
                self._string = not self._string
            else:
                self._depth += 1 if sign in "{[" else -1
                if self._depth <= 0:
                    self.end = at
            self._at = at
        return self.end
