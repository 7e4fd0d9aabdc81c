"""What the worker does for kept responses, by itself."""

from __future__ import annotations

import logging

from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from apps.inference.api.responses.store import forget_unused

logger = logging.getLogger(__name__)


@db_periodic_task(crontab(minute="17"), expires=3600)
def forget_unused_responses() -> None:
    """Delete the responses whose time is over."""
    if gone := forget_unused():
        logger.info("Responses that nobody used any more: %d deleted.", gone)
