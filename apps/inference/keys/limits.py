"""How much a key may ask for, counted in the database.

A limit looks back over the last minute, not at minutes of the clock: no burst
passes where one minute ends and the next begins. Counting and letting in are one
transaction that holds the database's write lock (SQLite, immediate) or the key's
row (PostgreSQL), so limits are exact over every web process.

A call is measured against the key's limits, which are for all its calls under /v1
together, and against those of its group of endpoints. Both hold.

What a prompt will take is estimated when the request comes. What prompt and answer
really took is known when it has ended, and counts from then on: an answer that is
longer than a minute would otherwise have left the window before it was counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.template.defaultfilters import pluralize
from django.utils import timezone

from apps.inference.keys.budget import Budget, Budgets, tightest
from apps.inference.keys.endpoints import Endpoints, Rates
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
class _Limit:
    """What is counted together: all the key's calls, or those to one group of endpoints."""

    key: ApiKey
    rates: Rates
    concurrency: int | None
    calls: QuerySet[Admission]
    at: str
    """Which calls it is for, in messages; empty: all."""


@dataclass(frozen=True)
class _Used:
    """What a limit's last minute holds."""

    requests: int
    tokens: int
    places: int
    newest_request: datetime | None
    newest_tokens: datetime | None

    def with_one_more(self, tokens: int, now: datetime) -> _Used:
        return replace(
            self,
            requests=self.requests + 1,
            tokens=self.tokens + tokens,
            newest_request=now,
            newest_tokens=now,
        )


def estimated_tokens(body_bytes: int) -> int:
    """What a request of this size is taken for before it is tokenised."""
    return math.ceil(body_bytes / BYTES_PER_TOKEN)


def admit(key: ApiKey, *, tokens: int, endpoints: Endpoints = Endpoints.GENERATION) -> Admitted:
    """Let a request of about ``tokens`` in and count it. Raises LimitReached."""
    with transaction.atomic():
        if connection.features.has_select_for_update:
            # Who comes next waits here, until this request is counted or refused.
            # On SQLite it waits where its transaction begins.
            ApiKey.objects.select_for_update().get(pk=key.pk)
        now = timezone.now()
        used = [(limit, _used(limit, now)) for limit in _limits(key, endpoints)]
        left = tightest(_budgets(limit, of_it, now) for limit, of_it in used)
        for limit, of_it in used:
            _check_requests(limit, of_it, now, left)
            _check_tokens(limit, of_it, tokens, now, left)
            _check_places(limit, of_it, left)
        holds_place = any(limit.concurrency is not None for limit, _ in used)
        row = Admission.objects.create(
            key=key,
            endpoints=endpoints,
            at=now,
            tokens=tokens,
            tokens_at=now,
            lease_until=now + LEASE if holds_place else None,
        )
    left = tightest(_budgets(limit, of_it.with_one_more(tokens, now), now) for limit, of_it in used)
    return Admitted(row.pk, left, holds_place)


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


def _limits(key: ApiKey, endpoints: Endpoints) -> Iterator[_Limit]:
    """Those that a call to these endpoints has to keep within."""
    calls = Admission.objects.filter(key=key)
    if endpoints is not Endpoints.MANAGEMENT:
        under_v1 = calls.exclude(endpoints=Endpoints.MANAGEMENT)
        yield _Limit(key, key.rates, key.concurrency, under_v1, at="")
    if (rates := key.rates_of(endpoints)) != Rates():
        yield _Limit(
            key, rates, None, calls.filter(endpoints=endpoints), at=f" at {endpoints} endpoints"
        )


def _used(limit: _Limit, now: datetime) -> _Used:
    begun, counted = Q(at__gt=now - WINDOW), Q(tokens_at__gt=now - WINDOW)
    found = limit.calls.aggregate(
        requests=Count("pk", filter=begun),
        tokens=Coalesce(Sum("tokens", filter=counted), 0),
        places=Count("pk", filter=Q(lease_until__gt=now)),
        newest_request=Max("at", filter=begun),
        newest_tokens=Max("tokens_at", filter=counted),
    )
    return _Used(**found)


def _budgets(limit: _Limit, used: _Used, now: datetime) -> Budgets:
    rates = limit.rates
    return Budgets(
        _budget(rates.requests_per_minute, used.requests, used.newest_request, now),
        _budget(rates.tokens_per_minute, used.tokens, used.newest_tokens, now),
    )


def _budget(limit: int | None, used: int, newest: datetime | None, now: datetime) -> Budget | None:
    if limit is None:
        return None
    reset = 0.0 if newest is None else _seconds_until_free(newest, now)
    return Budget(limit, max(0, limit - used), reset)


def _check_requests(limit: _Limit, used: _Used, now: datetime, left: Budgets) -> None:
    most = limit.rates.requests_per_minute
    if most is None or used.requests < most:
        return
    # The request that has to leave the window for this one to fit.
    begun = limit.calls.filter(at__gt=now - WINDOW).order_by("at")
    leaving = begun.values_list("at", flat=True)[used.requests - most]
    raise LimitReached(
        f"The key {limit.key.name!r} may make {most:,} request{pluralize(most)} a minute{limit.at} "
        "and has made as many. Wait as long as Retry-After says.",
        budgets=left,
        retry_after=_seconds_until_free(leaving, now),
    )


def _check_tokens(limit: _Limit, used: _Used, tokens: int, now: datetime, left: Budgets) -> None:
    most = limit.rates.tokens_per_minute
    if most is None or used.tokens + tokens <= most:
        return
    may_use = f"key {limit.key.name!r} may use {most:,} tokens a minute{limit.at}"
    if tokens > most:
        raise LimitReached(
            f"This request alone has about {tokens:,} tokens, and the {may_use}. "
            "Shorten it, or ask for a higher limit.",
            budgets=left,
            retry_after=None,
        )
    raise LimitReached(
        f"The {may_use}; {used.tokens:,} are used and this request has about "
        f"{tokens:,}. Wait as long as Retry-After says.",
        budgets=left,
        retry_after=_until_tokens_are_free(limit, used.tokens + tokens - most, now),
    )


def _until_tokens_are_free(limit: _Limit, needed: int, now: datetime) -> float:
    counted = limit.calls.filter(tokens_at__gt=now - WINDOW).order_by("tokens_at")
    for at, tokens in counted.values_list("tokens_at", "tokens"):
        needed -= tokens
        if needed <= 0:
            return _seconds_until_free(at, now)
    return 0.0


def _check_places(limit: _Limit, used: _Used, left: Budgets) -> None:
    if limit.concurrency is not None and used.places >= limit.concurrency:
        raise LimitReached(
            f"The key {limit.key.name!r} may have {limit.concurrency:,} requests under way at "
            "once, and has them. Wait until one has ended.",
            budgets=left,
            retry_after=PLACE_RETRY,
        )


def _seconds_until_free(at: datetime, now: datetime) -> float:
    return max(0.0, (at + WINDOW - now).total_seconds())
