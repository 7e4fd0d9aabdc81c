"""Log records without secrets."""

from __future__ import annotations

import logging
import traceback

from apps.redaction.text import redacted


def _message(record: logging.LogRecord) -> str:
    """A library's mistake in a log call must not end what it was to tell of."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, LookupError):
        return f"{record.msg!r}, with {record.args!r}"


class RedactingFilter(logging.Filter):
    """Redacts records before they are formatted, tracebacks included.

    It belongs on a handler: a logger's own filter does not see its children's records.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(_message(record)), None
        if record.exc_info:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_text, record.exc_info = redacted(text), None
        elif record.exc_text:
            record.exc_text = redacted(record.exc_text)
        return True
