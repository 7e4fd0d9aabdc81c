"""Where a JSON object ends, told while it is being written."""

from __future__ import annotations

import re

_QUOTED = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_MARK = re.compile(r'["{}\[\]]')


class JsonScanner:
    """Follows one object or array; it checks brackets and quotes, and nothing else."""

    def __init__(self) -> None:
        self.complete = False
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def feed(self, text: str) -> int:
        """How many characters of ``text`` belong to it: all of them while it is incomplete."""
        at = 0
        while at < len(text) and not self.complete:
            at = self._in_string(text, at) if self._quoted else self._outside(text, at)
        return at

    def _in_string(self, text: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        plain = _QUOTED.match(text, at)
        at = plain.end() if plain else at
        if at == len(text):
            return at
        # A quote, or a backslash whose other half is still to come.
        self._quoted, self._escaped = text[at] != '"', text[at] == "\\"
        return at + 1

    def _outside(self, text: str, at: int) -> int:
        mark = _MARK.search(text, at)
        if mark is None:
            return len(text)
        match mark.group():
            case '"':
                self._quoted = True
            case "{" | "[":
                self._depth += 1
            case _:
                self._depth -= 1
                self.complete = self._depth == 0
        return mark.end()
