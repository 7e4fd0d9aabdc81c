"""Why a call is not let in.

    CallRefused           what all of them are; the message is for the caller
      KeyMissing          401: a key is needed, and none came
      KeyInvalid          401: unknown, expired or revoked
      ScopeMissing        403: the key is not for this part of the API
      LimitReached        429: the key's requests, tokens or places are used up

apps.inference.api.errors gives each its status and OpenAI's code.
"""

from __future__ import annotations

from apps.inference.keys.budget import Budgets


class CallRefused(Exception):
    """The call is not let in; the message says why and what to do."""


class KeyMissing(CallRefused):
    """No key came where one is needed."""


class KeyInvalid(CallRefused):
    """The key is unknown, has expired or was revoked."""


class ScopeMissing(CallRefused):
    """The key is good, but not for this."""


class LimitReached(CallRefused):
    """``retry_after``: seconds until it may be let in; None where waiting is no use."""

    def __init__(self, message: str, *, budgets: Budgets, retry_after: float | None) -> None:
        super().__init__(message)
        self.budgets = budgets
        self.retry_after = retry_after
