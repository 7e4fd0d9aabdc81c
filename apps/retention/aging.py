"""Rows that go for their age, a few at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

BATCH = 1000
"""Rows deleted in one transaction; others write in between."""


def delete_older(rows: QuerySet[Any], moment: str, *, days: int) -> int:
    """Delete those of ``rows`` whose field ``moment`` is more than ``days`` ago; how many went.

    0 days: nothing is too old.
    """
    if not days:
        return 0
    limit = timezone.now() - timedelta(days=days)
    return delete_in_batches(rows.filter(**{f"{moment}__lt": limit}).order_by(moment))


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete all of ``rows``; how many went."""
    total = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        deleted, _ = rows.model._default_manager.filter(pk__in=keys).delete()
        total += deleted
    return total
