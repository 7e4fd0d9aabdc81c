"""How much a key may ask for, counted in the database.

A limit looks back over the last minute, not at minutes of the clock: no burst
passes where one minute ends and the next begins. Counting and letting in are one
transaction that holds the database's write lock (SQLite, immediate) or the key's
row (PostgreSQL), so limits are exact over every web process.

What a prompt will take is estimated when the request comes. What prompt and answer
really took is known when it has ended, and counts from then on: an answer that is
longer than a minute would otherwise have left the window before it was counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.inference.keys.budget import Budget, Budgets
from apps.inference.keys.errors import LimitReached
from apps.inference.keys.models import Admission, ApiKey

WINDOW = timedelta(seconds=60)

LEASE = timedelta(seconds=30)
"""A place whose web process gives no sign of life for this long is free again."""

PLACE_RETRY = 1.0
"""Seconds after which a caller without a place may try again; nobody knows when one is free."""

BYTES_PER_TOKEN = 4
"""Of English text; OpenAI estimates prompts so, too."""


@dataclass(frozen=True)
class Admitted:
    """A request that was let in."""

    id: int
    budgets: Budgets
    holds_place: bool


@dataclass(frozen=True)
class _Used:
    """What the key's last minute holds."""

    requests: int
    tokens: int
    places: int
    newest_request: datetime | None
    newest_tokens: datetime | None


def estimated_tokens(body_bytes: int) -> int:
    """What a request of this size is taken for before it is tokenised."""
    return math.ceil(body_bytes / BYTES_PER_TOKEN)


def admit(key: ApiKey, *, tokens: int) -> Admitted:
    """Let a request of about ``tokens`` in and count it. Raises LimitReached."""
    with transaction.atomic():
        if connection.features.has_select_for_update:
            # Who comes next waits here, until this request is counted or refused.
            # On SQLite it waits where its transaction begins.
            ApiKey.objects.select_for_update().get(pk=key.pk)
        now = timezone.now()
        used = _used(key, now)
        _check_requests(key, used, now)
        _check_tokens(key, used, tokens, now)
        _check_places(key, used, now)
        lease = None if key.concurrency is None else now + LEASE
        row = Admission.objects.create(
            key=key, at=now, tokens=tokens, tokens_at=now, lease_until=lease
        )
    used = replace(
        used,
        requests=used.requests + 1,
        tokens=used.tokens + tokens,
        newest_request=now,
        newest_tokens=now,
    )
    return Admitted(row.pk, _budgets(key, used, now), holds_place=lease is not None)


def settle(admission_id: int, *, tokens: int) -> None:
    """The request has ended: give its place back, and count what it really took.

    What has left the window is deleted now, when nobody waits for an answer.
    """
    now = timezone.now()
    admission = Admission.objects.filter(pk=admission_id)
    admission.update(tokens=tokens, tokens_at=now, lease_until=None)
    Admission.objects.spent(now, window_start=now - WINDOW).delete()


def renew(admission_ids: list[int]) -> None:
    """The sign of life for requests under way; those that have ended stay so."""
    held = Admission.objects.filter(pk__in=admission_ids, lease_until__isnull=False)
    held.update(lease_until=timezone.now() + LEASE)


def _used(key: ApiKey, now: datetime) -> _Used:
    begun, counted = Q(at__gt=now - WINDOW), Q(tokens_at__gt=now - WINDOW)
    found = Admission.objects.filter(key=key).aggregate(
        requests=Count("pk", filter=begun),
        tokens=Coalesce(Sum("tokens", filter=counted), 0),
        places=Count("pk", filter=Q(lease_until__gt=now)),
        newest_request=Max("at", filter=begun),
        newest_tokens=Max("tokens_at", filter=counted),
    )
    return _Used(**found)


def _budgets(key: ApiKey, used: _Used, now: datetime) -> Budgets:
    return Budgets(
        _budget(key.requests_per_minute, used.requests, used.newest_request, now),
        _budget(key.tokens_per_minute, used.tokens, used.newest_tokens, now),
    )


def _budget(limit: int | None, used: int, newest: datetime | None, now: datetime) -> Budget | None:
    if limit is None:
        return None
    reset = 0.0 if newest is None else _seconds_until_free(newest, now)
    return Budget(limit, max(0, limit - used), reset)


def _check_requests(key: ApiKey, used: _Used, now: datetime) -> None:
    limit = key.requests_per_minute
    if limit is None or used.requests < limit:
        return
    # The request that has to leave the window for this one to fit.
    begun = Admission.objects.filter(key=key, at__gt=now - WINDOW).order_by("at")
    leaving = begun.values_list("at", flat=True)[used.requests - limit]
    raise LimitReached(
        f"The key {key.name!r} may make {limit:,} requests a minute and has made them. "
        "Wait as long as Retry-After says.",
        budgets=_budgets(key, used, now),
        retry_after=_seconds_until_free(leaving, now),
    )


def _check_tokens(key: ApiKey, used: _Used, tokens: int, now: datetime) -> None:
    limit = key.tokens_per_minute
    if limit is None or used.tokens + tokens <= limit:
        return
    if tokens > limit:
        raise LimitReached(
            f"This request alone has about {tokens:,} tokens, and the key {key.name!r} may use "
            f"{limit:,} a minute. Shorten it, or ask for a higher limit.",
            budgets=_budgets(key, used, now),
            retry_after=None,
        )
    raise LimitReached(
        f"The key {key.name!r} may use {limit:,} tokens a minute; {used.tokens:,} are used and "
        f"this request has about {tokens:,}. Wait as long as Retry-After says.",
        budgets=_budgets(key, used, now),
        retry_after=_until_tokens_are_free(key, used.tokens + tokens - limit, now),
    )


def _until_tokens_are_free(key: ApiKey, needed: int, now: datetime) -> float:
    counted = Admission.objects.filter(key=key, tokens_at__gt=now - WINDOW).order_by("tokens_at")
    for at, tokens in counted.values_list("tokens_at", "tokens"):
        needed -= tokens
        if needed <= 0:
            return _seconds_until_free(at, now)
    return 0.0


def _check_places(key: ApiKey, used: _Used, now: datetime) -> None:
    if key.concurrency is not None and used.places >= key.concurrency:
        raise LimitReached(
            f"The key {key.name!r} may have {key.concurrency:,} requests under way at once, and "
            "has them. Wait until one has ended.",
            budgets=_budgets(key, used, now),
            retry_after=PLACE_RETRY,
        )


def _seconds_until_free(at: datetime, now: datetime) -> float:
    return max(0.0, (at + WINDOW - now).total_seconds())
