"""Rules as their owner set them, alerts, and who is told of them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.system.alerts.pages import page_of


def new_secret() -> str:
    """What a webhook's calls are signed with: 256 random bits."""
    return secrets.token_urlsafe(32)


class Rule(models.Model):
    """What its owner changed of a rule; one that has no row is as conditions.py has it."""

    kind = models.CharField(max_length=20, primary_key=True)
    enabled = models.BooleanField(default=True)
    threshold = models.FloatField(null=True)

    def __str__(self) -> str:
        return self.kind


class AlertQuerySet(models.QuerySet["Alert"]):
    def firing(self) -> AlertQuerySet:
        return self.filter(resolved_at=None)

    def past(self) -> AlertQuerySet:
        """Those that are over, the latest first."""
        return self.exclude(resolved_at=None).order_by("-resolved_at")


class Alert(models.Model):
    """Something that began to be the matter, and whether it still is."""

    kind = models.CharField(max_length=20)
    subject = models.CharField(
        max_length=120, blank=True, help_text="What it is about, where a rule is about several."
    )
    summary = models.CharField(max_length=500)
    remedy = models.CharField(max_length=500)
    started_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, db_index=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "subject"),
                condition=Q(resolved_at=None),
                name="one_firing_alert_a_subject",
            ),
        )

    def __str__(self) -> str:
        return self.summary

    @property
    def is_firing(self) -> bool:
        return self.resolved_at is None

    @property
    def page(self) -> str:
        """Where to look: the page of its subject, which is ``app.model:key``, or of its rule.

        Empty where there is none.
        """
        if not self.subject:
            return page_of(self.kind)
        label, _, key = self.subject.partition(":")
        if not key.isdecimal():
            return ""
        try:
            about = apps.get_model(label)._default_manager.filter(pk=key).first()
        except (LookupError, ValueError):  # no model (any more)
            return ""
        return str(about.get_absolute_url()) if hasattr(about, "get_absolute_url") else ""


class Webhook(models.Model):
    """An address that hears of alerts. The secret is kept readable: each call is signed with it."""

    url = models.CharField(max_length=2000)
    secret = models.CharField(max_length=100, default=new_secret)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.url

    @property
    def host(self) -> str:
        """For the audit log: the path of an address is often a secret of its own."""
        return urlsplit(self.url).netloc


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> DeliveryQuerySet:
        """Those to be tried now, the oldest first."""
        return self.filter(state=Delivery.State.WAITING, next_try_at__lte=now).order_by("pk")


class Delivery(models.Model):
    """One thing to tell one webhook, and how that goes."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    CLAIMED_FOR = timedelta(minutes=2)
    """After which another process may try what one that died had taken."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, null=True, on_delete=models.CASCADE)
    payload: models.JSONField[Any, Any] = models.JSONField()
    state = models.CharField(max_length=12, choices=State, default=State.WAITING, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    error = models.CharField(max_length=500, blank=True, help_text="Of the last try.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.payload.get('event')} to {self.webhook}"

    def claim(self, now: datetime) -> bool:
        """Take it for this process; False where another one was faster."""
        mine = Delivery.objects.filter(pk=self.pk).due(now)
        return bool(mine.update(next_try_at=now + self.CLAIMED_FOR))
