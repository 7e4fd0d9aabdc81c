"""How long the audit log is kept."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.audit.models import AuditEntry

BATCH = 1000
"""Entries deleted in one transaction; others write in between."""


def delete_old_entries(*, days: int) -> int:
    """Delete what is older than ``days``; how many went. 0 days: nothing is too old."""
    if not days:
        return 0
    limit, total = timezone.now() - timedelta(days=days), 0
    while True:
        deleted, _ = AuditEntry.objects.older_than(limit, at_most=BATCH).delete()
        total += deleted
        if deleted < BATCH:
            return total
