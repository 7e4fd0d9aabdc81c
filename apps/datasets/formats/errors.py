"""What can be wrong with data as a whole.

FormatError
├── Unsupported     no format that is read here
├── Refused         a bound is exceeded: a decompression bomb, too many columns or files
├── Damaged         it can't be read on: a lying footer, a broken archive
├── BadMapping      the mapping names what is not there, or makes no row
└── NoTokens        a tokenizer can't make tokens of these rows

What is wrong with one row is no exception: it is an ``Unreadable`` or a ``Problem``.
"""

from __future__ import annotations


class FormatError(Exception):
    """The message says what happened, why, and what to do."""


class Unsupported(FormatError):
    """No format that is read here."""


class Refused(FormatError):
    """A bound is exceeded."""


class Damaged(FormatError):
    """It can't be read, or not to its end."""


class BadMapping(FormatError):
    """The mapping does not fit these records."""


class NoTokens(FormatError):
    """This tokenizer can't make tokens of these rows."""
