"""Making, revoking and recognising API keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from apps.audit.recording import record
from apps.inference.keys.caller import Caller
from apps.inference.keys.endpoints import Endpoints, Rates, stored
from apps.inference.keys.errors import KeyInvalid
from apps.inference.keys.models import ApiKey
from apps.inference.keys.secret import digest_of, new_key, public_id_of, same_key
from apps.models.models import LocalModel

_NOBODYS_DIGEST = digest_of("")
"""Compared with where there is no such key, so that this takes as long."""


@dataclass(frozen=True)
class Limits:
    """What a key may ask for; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    endpoints: Mapping[Endpoints, Rates] = field(default_factory=dict)
    """Of groups of endpoints by themselves, beside those above, which are for all together."""


def create_key(
    *,
    name: str,
    may_infer: bool = True,
    may_manage: bool = False,
    models: Iterable[LocalModel] = (),
    limits: Limits | None = None,
    expires_at: datetime | None = None,
    note: str = "",
    user_id: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key's row, and the key itself, which nobody can read again. No models: all of them."""
    limits = limits or Limits()
    made, allowed = new_key(), list(models)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            public_id=made.public_id,
            digest=made.digest,
            may_infer=may_infer,
            may_manage=may_manage,
            only_listed_models=bool(allowed),
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            concurrency=limits.concurrency,
            endpoint_limits=stored(limits.endpoints),
            expires_at=expires_at,
            note=note,
            user_id=user_id,
        )
        key.allowed_models.set(allowed)
        record("key.create", name, key=key.public_id, scopes=", ".join(key.scopes))
    return key, made.text


@contextmanager
def own_key(*, name: str, lifetime: timedelta) -> Iterator[str]:
    """A key with which the hub calls itself, revoked when the block ends.

    There is one row of this ``name``, made anew each time, so that usage stays with it.
    A process that is killed leaves a key that nobody knows, and that expires.
    """
    made = new_key()
    key, _ = ApiKey.objects.update_or_create(
        name=name,
        defaults={
            "public_id": made.public_id,
            "digest": made.digest,
            "expires_at": timezone.now() + lifetime,
            "revoked_at": None,
            "note": "The hub's own; it is renewed for each use.",
        },
    )
    try:
        yield made.text
    finally:
        key.revoke()


def revoke_key(key: ApiKey) -> None:
    """Nobody is let in with it any more, from the next call on."""
    with transaction.atomic():
        key.revoke()
        record("key.revoke", key.name, key=key.public_id)


def recognise(text: str) -> ApiKey:
    """The key that ``text`` is, with one look into the database. Raises KeyInvalid."""
    public_id = public_id_of(text)
    keys = ApiKey.objects.select_related("user")
    key = keys.filter(public_id=public_id).first() if public_id else None
    if not same_key(text, key.digest if key else _NOBODYS_DIGEST) or key is None:
        raise KeyInvalid(
            "The API key is not one of this hub's. `mlx-hub keys list` and the Keys page show "
            "those there are; a lost key can't be read again, only made anew."
        )
    if key.state == "revoked":
        raise KeyInvalid(f"The API key {key.shown} was revoked. Ask for a new one.")
    if key.state == "expired":
        raise KeyInvalid(f"The API key {key.shown} has expired. Ask for a new one.")
    if key.user is not None and not key.user.is_active:
        raise KeyInvalid(f"The account that the API key {key.shown} belongs to is switched off.")
    return key


def caller_of(key: ApiKey) -> Caller:
    """Who calls with ``key``, and what it may name."""
    if not key.only_listed_models:
        return Caller(key.pk, key.name)
    return Caller(key.pk, key.name, frozenset(key.allowed_models.values_list("pk", flat=True)))
