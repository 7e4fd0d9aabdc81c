"""How long records are kept."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.inference.usage.models import RequestRecord

BATCH = 1000
"""Records deleted in one transaction; others write in between."""


def delete_old_records(*, days: int) -> int:
    """Delete what is older than ``days``; how many went. 0 days: nothing is too old."""
    if not days:
        return 0
    limit, total = timezone.now() - timedelta(days=days), 0
    while True:
        deleted, _ = RequestRecord.objects.older_than(limit, at_most=BATCH).delete()
        total += deleted
        if deleted < BATCH:
            return total
