"""Why a call was not made, or did not arrive.

OutgoingError    what both are; the message is for people
  BadTarget      the address is none that the hub calls
  NotDelivered   nobody answered, or the answer was no success
"""

from __future__ import annotations


class OutgoingError(Exception):
    """The call did not arrive; the message says why and what to do."""


class BadTarget(OutgoingError):
    """The address is malformed, unknown, or leads where the hub must not call."""


class NotDelivered(OutgoingError):
    """``status``: what the server answered; None where it did not."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
