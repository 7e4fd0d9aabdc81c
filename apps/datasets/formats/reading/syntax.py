"""What is wrong with text that should be JSON, in words for whoever wrote it."""

from __future__ import annotations

import re
from json import JSONDecodeError

_IN_WORDS = {
    # As orjson says it, which carries yyjson's messages.
    "invalid literal": "only true, false and null stand without double quotes",
    "expected a JSON value": "no value begins here; text needs double quotes",
    "expected a string key": "a key in double quotes is missing",
    "expected ':'": "a colon is missing behind the key",
    "expected ',' or '}'": "a comma or } is missing",
    "expected ',' or '": "a comma or ] is missing",
    "trailing comma": "the last comma has nothing behind it",
    "content after document": "more stands behind the end of the value",
    "unexpected control character": "a line break or tab in quotes has to be written as \\n or \\t",
    "unexpected end of data": "it ends before a quote, brace or bracket is closed",
    "invalid escape": "a backslash in quotes has to be written as \\\\",
    "surrogate": "half a character stands behind \\u",
    "no digit": "a number lacks a digit",
    "leading zero": "a number begins with a zero too many",
    "infinity": "a number is too large",
    # As Python's own parser says it.
    "Expecting value": "no value begins here; text needs double quotes",
    "Expecting property name": "a key in double quotes is missing",
    "Expecting ':'": "a colon is missing behind the key",
    "Expecting ','": "a comma, brace or bracket is missing",
    "Extra data": "more stands behind the end of the value",
    "Unterminated string": "a text is not closed by a double quote",
    "Invalid control character": "a line break or tab in quotes has to be written as \\n or \\t",
    "Invalid \\": "a backslash in quotes has to be written as \\\\",
}
"""By a part of the parser's message; the first that is in it counts."""

_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:[^,{}\[\]"]*\Z')
_NEAR = 300
"""Characters before a mistake in which the name of its field is looked for."""


def syntax_in_words(error: JSONDecodeError) -> str:
    """As in ``in "answer", a comma or } is missing``; where it is, is for the caller to say."""
    told = (words for part, words in _IN_WORDS.items() if part in error.msg)
    field = _FIELD.search(error.doc[max(0, error.pos - _NEAR) : error.pos])
    where = f'in "{field[1]}", ' if field else ""
    return where + next(told, error.msg)
