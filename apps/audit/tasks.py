"""What the worker does about the audit log, by itself."""

from __future__ import annotations

import logging

from django.conf import settings
from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from apps.audit.models import AuditEntry
from apps.retention.aging import delete_older

logger = logging.getLogger(__name__)


@db_periodic_task(crontab(minute="41", hour="4"), expires=3600)
def forget_old_entries() -> None:
    """Every night: delete the entries that are older than the owner wants."""
    deleted = delete_older(AuditEntry.objects.all(), "at", days=settings.HUB.audit_days)
    if deleted:
        logger.info("%d entries of the audit log were deleted for their age.", deleted)
