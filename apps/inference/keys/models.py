"""API keys, and what was let in with those that have limits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from apps.accounts.identity import Identity
from apps.accounts.roles import Role, role_of
from apps.inference.keys.endpoints import Endpoints, Rates, check_stored
from apps.inference.keys.secret import PREFIX
from apps.models.models import LocalModel

KeyState = Literal["active", "expired", "revoked"]

_AT_LEAST_ONE = [MinValueValidator(1)]


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def shown_to(self, identity: Identity) -> ApiKeyQuerySet:
        """An owner sees all, others their own."""
        if identity.role is Role.OWNER:
            return self
        person = identity.actor.user_id
        return self.none() if person is None else self.filter(user_id=person)


class ApiKey(models.Model):
    """Who may call the API, for what and how much. The key itself is not kept, only its digest."""

    name = models.CharField(max_length=120, unique=True)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the key.")
    may_infer = models.BooleanField(
        "inference", default=True, help_text="May use /v1: chat, completions, embeddings, models."
    )
    may_manage = models.BooleanField(
        "management",
        default=False,
        help_text="May use /api and /admin: health, caches, benchmarks, usage.",
    )
    only_listed_models = models.BooleanField(
        default=False, help_text="May use the models below and no others."
    )
    # Not "empty: all": a key whose last model is deleted must not come to have all of them.
    allowed_models = models.ManyToManyField(LocalModel, blank=True, related_name="api_keys")
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=_AT_LEAST_ONE, help_text="Empty: no limit."
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_AT_LEAST_ONE,
        help_text="Of prompts and answers together. Empty: no limit.",
    )
    concurrency = models.PositiveIntegerField(
        "requests at once",
        null=True,
        blank=True,
        validators=_AT_LEAST_ONE,
        help_text="Empty: no limit.",
    )
    # Read with every call and never asked for by itself: a column, not a table to join.
    endpoint_limits: models.JSONField[Any, Any] = models.JSONField(
        "limits per endpoint",
        default=dict,
        blank=True,
        validators=[check_stored],
        help_text='Of groups of endpoints: {"embeddings": {"requests_per_minute": 60}}. Empty: none.',
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    note = models.CharField(max_length=200, blank=True, help_text="Whose it is, or what for.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="Whose it is; it may no more than its account. Empty: the hub's own.",
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A form's emptied field is no limit."""
        self.endpoint_limits = self.endpoint_limits or {}

    @property
    def shown(self) -> str:
        """As much of the key as may be shown."""
        return f"{PREFIX}{self.public_id}_…"

    @property
    def state(self) -> KeyState:
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return "expired" if expired else "active"

    @property
    def scopes(self) -> list[str]:
        """What it is for, in words."""
        given = (("inference", self.may_infer), ("management", self.may_manage))
        return [name for name, may in given if may]

    @property
    def models_in_words(self) -> str:
        """Which models it may use, by their names."""
        if not self.only_listed_models:
            return "all models"
        return ", ".join(sorted(each.slug for each in self.allowed_models.all())) or "no model"

    @property
    def limits_in_words(self) -> list[str]:
        """The limits it has; empty where it has none."""
        given = self.rates.in_words
        if self.concurrency is not None:
            given.append(f"{self.concurrency:,} at once")
        for group in Endpoints:
            given += [f"{group}: {limit}" for limit in self.rates_of(group).in_words]
        return given

    @property
    def rates(self) -> Rates:
        """Of all its calls under /v1 together."""
        return Rates(self.requests_per_minute, self.tokens_per_minute)

    def rates_of(self, endpoints: Endpoints) -> Rates:
        """Of its calls to these endpoints by themselves; they hold beside the others."""
        return Rates(**self.endpoint_limits.get(endpoints, {}))

    def is_limited_for(self, endpoints: Endpoints) -> bool:
        """Whether a call to these endpoints has to be counted."""
        if self.rates_of(endpoints) != Rates():
            return True
        # Those of the whole key are for what takes the models' time.
        whole = endpoints is not Endpoints.MANAGEMENT
        return whole and (self.rates != Rates() or self.concurrency is not None)

    @property
    def role(self) -> Role | None:
        """What it lets its holder do: what its account may now. None: the account is off."""
        return Role.OWNER if self.user is None else role_of(self.user)

    def revoke(self) -> None:
        """No call is let in with it any more. A key stays revoked."""
        revoked = ApiKey.objects.filter(pk=self.pk, revoked_at=None)
        revoked.update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])


class AdmissionQuerySet(models.QuerySet["Admission"]):
    def spent(self, now: datetime, *, window_start: datetime) -> AdmissionQuerySet:
        """Those that no limit looks at any more."""
        over = models.Q(lease_until=None) | models.Q(lease_until__lte=now)
        return self.filter(over, at__lte=window_start, tokens_at__lte=window_start)


class Admission(models.Model):
    """A request that was let in with a limited key.

    Rows of the last minute are the key's sliding window, and rows with a lease its
    places. keys.limits writes them.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="admissions")
    at = models.DateTimeField()
    endpoints = models.CharField(max_length=12, choices=Endpoints, default=Endpoints.GENERATION)
    tokens = models.PositiveBigIntegerField(help_text="Estimated; what it really took afterwards.")
    tokens_at = models.DateTimeField(
        help_text="When they count from: the request's beginning, and then its end."
    )
    lease_until = models.DateTimeField(
        null=True, help_text="Its web process gave a sign of life for it; empty: it holds no place."
    )

    objects = AdmissionQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("key", "at"), name="admission_window"),
            models.Index(fields=("at",), name="admission_age"),
        )

    def __str__(self) -> str:
        return f"Admission {self.pk} of key {self.key_id}"
