"""Who makes the API call that is being answered.

The middleware says so once per request (``apps.inference.api.access``); the rest of
the call reads it here: which models may be named, whose turn it is in the engine,
whose cached prompts it may meet. Tasks and threads that serve the request start
with copies of its context and so see the same caller. Pages, the worker and the
command line are the owner's own: for them nothing is set and everything is allowed.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.inference.engine.protocol import Generate
from apps.models.models import LocalModelQuerySet


@dataclass(frozen=True)
class Caller:
    """The holder of an API key, or the owner where ``key_id`` is None."""

    key_id: int | None = None
    key_name: str = ""
    model_ids: frozenset[int] | None = None
    """Models it may use; None: all of them."""

    @property
    def tenant(self) -> str:
        """Tells what one caller stored from what others did; empty: the owner."""
        return "" if self.key_id is None else f"key:{self.key_id}"


OWNER = Caller()

_current: ContextVar[Caller] = ContextVar("api_caller", default=OWNER)


def current_caller() -> Caller:
    """Who makes the call; the owner where no key came."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """From here on in this request; for the middleware alone."""
    _current.set(caller)


def permitted(models: LocalModelQuerySet) -> LocalModelQuerySet:
    """Those of ``models`` that the caller may use. To it the others do not exist."""
    allowed = current_caller().model_ids
    return models if allowed is None else models.filter(pk__in=allowed)


def on_behalf_of(caller: Caller, request: Generate) -> Generate:
    """The request as the engine gets it from ``caller``.

    A key is one client in the engine's queue, whatever user it names. With tenant
    isolation it meets only what was cached for itself; the salt is a keyed digest,
    so that no caller can write down another's.
    """
    if caller.key_id is None:
        return request
    changes: dict[str, str] = {"client": caller.tenant}
    if settings.HUB.tenant_isolation:
        changes["cache_salt"] = _salt(caller.tenant, request.cache_salt)
    return request.model_copy(update=changes)


def _salt(tenant: str, own: str) -> str:
    value = f"{tenant}\0{own}"
    return salted_hmac("apps.inference.keys.cache_salt", value, algorithm="sha256").hexdigest()
