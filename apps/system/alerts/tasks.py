"""Webhooks are told by the worker's task threads: an address that is slow delays nobody else."""

from __future__ import annotations

from datetime import UTC, datetime

from huey.contrib.djhuey import db_task

from apps.system.alerts.delivering import deliver_due
from apps.system.alerts.models import Delivery


@db_task()
def tell_webhooks() -> None:
    """Try what is due."""
    deliver_due()


def tell_webhooks_if_due() -> None:
    """Have the worker do so where there is something."""
    if Delivery.objects.due(datetime.now(UTC)).exists():
        tell_webhooks()
