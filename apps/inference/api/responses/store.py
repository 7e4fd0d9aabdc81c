"""Responses that are kept: put there, found again, gone on from, forgotten.

Every function looks at the present caller's own only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.inference.api.responses.errors import ItemNotFound, PreviousNotFound, ResponseNotFound
from apps.inference.api.responses.items import (
    Item,
    ItemReference,
    stored_items,
)
from apps.inference.api.responses.models import StoredResponse, StoredResponseQuerySet
from apps.inference.keys.caller import current_caller
from apps.retention.aging import delete_in_batches

MAX_TURNS = 10_000
"""Longest chain of responses that is followed."""


def keep(*, body: dict[str, Any], items: list[dict[str, Any]]) -> None:
    """Keep a response with the input that was new with it, unless nothing is to be kept."""
    if not settings.HUB.stored_response_days:
        return
    StoredResponse.objects.create(
        id=body["id"],
        tenant=current_caller().tenant,
        previous_id=body["previous_response_id"] or "",
        input=items,
        body=body,
    )


def find(response_id: str) -> StoredResponse:
    """Raises ResponseNotFound."""
    found = _own().filter(pk=response_id).first()
    if found is None:
        raise ResponseNotFound(response_id)
    return found


def forget(*, response_id: str) -> None:
    """Raises ResponseNotFound."""
    find(response_id).delete()


def conversation(previous_id: str | None, given: list[Item | ItemReference]) -> list[Item]:
    """All items of a conversation: those of the responses it goes on from, and those given.

    Raises PreviousNotFound and ItemNotFound.
    """
    history: list[Item] = []
    for response in reversed(_chain(previous_id)):
        history += stored_items(response.input) + stored_items(response.body["output"])
    return history + [_resolved(item) for item in given]


def _chain(previous_id: str | None) -> list[StoredResponse]:
    """The responses before, the latest first; now they were used."""
    chain: list[StoredResponse] = []
    while previous_id and len(chain) < MAX_TURNS:
        previous = _own().filter(pk=previous_id).first()
        if previous is None:
            raise PreviousNotFound(previous_id)
        chain.append(previous)
        previous_id = previous.previous_id
    if chain:
        used = [response.pk for response in chain]
        StoredResponse.objects.filter(pk__in=used).update(used_at=timezone.now())
    return chain


def _resolved(item: Item | ItemReference) -> Item:
    """A reference names its response: ``msg_<response>_<number>``."""
    if not isinstance(item, ItemReference):
        return item
    _, _, rest = item.id.partition("_")
    stored = _own().filter(pk=f"resp_{rest.partition('_')[0]}").first()
    values = [] if stored is None else [*stored.input, *stored.body["output"]]
    for found in stored_items(values):
        if found.id == item.id:
            return found
    raise ItemNotFound(f"There is no item {item.id!r} in a response that is kept.")


def forget_unused() -> int:
    """Delete what nobody went on from for as long as responses are kept; how many."""
    limit = timezone.now() - timedelta(days=settings.HUB.stored_response_days)
    return delete_in_batches(StoredResponse.objects.unused_since(limit))


def _own() -> StoredResponseQuerySet:
    return StoredResponse.objects.of(current_caller().tenant)
