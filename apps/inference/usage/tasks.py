"""What the worker does about usage records, by itself."""

from __future__ import annotations

import logging

from django.conf import settings
from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from apps.inference.usage.models import RequestRecord
from apps.retention.aging import delete_older

logger = logging.getLogger(__name__)


@db_periodic_task(crontab(minute="23"), expires=3600)
def forget_old_requests() -> None:
    """Every hour: delete the records that are older than the owner wants."""
    records = RequestRecord.objects.all()
    deleted = delete_older(records, "created_at", days=settings.HUB.usage_days)
    if deleted:
        logger.info("%d records of requests were deleted for their age.", deleted)
