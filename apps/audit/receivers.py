"""What happens to the hub's own things, written down by whatever page, call or command did it.

The rows themselves tell: a receiver runs in the transaction that changed them. Which kinds
of rows count is declared in the settings (``AUDITED``); every kind of job does.
Changes that have no row, and those of a single field, are recorded where they are made.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from apps.audit.recording import record
from apps.jobs.models import Job
from apps.jobs.signals import asked

_ADMIN = {ADDITION: "admin.add", CHANGE: "admin.change", DELETION: "admin.delete"}


@receiver(post_save)
def _added(
    sender: type[Model], instance: Model, created: bool, raw: bool = False, **signal: Any
) -> None:
    if not created or raw:
        return
    if issubclass(sender, Job):
        record(f"{_kind(sender)}.order", instance)
    elif (kind := settings.AUDITED.get(sender._meta.label)) is not None:
        record(f"{kind}.add", instance)


@receiver(post_delete)
def _deleted(sender: type[Model], instance: Model, **signal: Any) -> None:
    kind = settings.AUDITED_DELETIONS.get(sender._meta.label)
    if issubclass(sender, Job):
        kind = _kind(sender)
    if kind is not None:
        record(f"{kind}.delete", instance)


@receiver(asked)
def _asked_of_a_job(sender: type[Job], job: Job, wish: str, **signal: Any) -> None:
    record(f"{_kind(sender)}.{wish}", job)


@receiver(post_save, sender=LogEntry)
def _admin_changed(instance: LogEntry, created: bool, **signal: Any) -> None:
    if created:
        kind = str(instance.content_type) if instance.content_type else ""
        record(_ADMIN[instance.action_flag], instance.object_repr, kind=kind)


def _kind(job: type[Job]) -> str:
    """``Model job`` of the class's verbose name, as an action's first word."""
    return str(job._meta.verbose_name).replace(" ", "-")
