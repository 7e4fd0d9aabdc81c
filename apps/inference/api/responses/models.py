"""Responses that callers asked the hub to keep."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone


class StoredResponseQuerySet(models.QuerySet["StoredResponse"]):
    def of(self, tenant: str) -> StoredResponseQuerySet:
        """What this caller had kept; nobody else's."""
        return self.filter(tenant=tenant)

    def unused_since(self, moment: datetime) -> StoredResponseQuerySet:
        return self.filter(used_at__lt=moment)


class StoredResponse(models.Model):
    """A response, and the input that was new with it.

    What a response goes on from is not repeated in it: ``previous_id`` leads there, and
    from there on to the conversation's beginning.
    """

    id = models.CharField(primary_key=True, max_length=64)
    tenant = models.CharField(max_length=80, blank=True, help_text="Whose it is; empty: the owner.")
    previous_id = models.CharField(max_length=200, blank=True)
    input = models.JSONField(help_text="Items that came with this request.")
    body = models.JSONField(help_text="The response as it was answered.")
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(
        default=timezone.now, db_index=True, help_text="When a response last went on from it."
    )

    objects = StoredResponseQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.id
