"""What became of each request to the API."""

from __future__ import annotations

from typing import Any, Literal

from django.db import models
from django.db.models import Avg, Count, Q, Sum
from django.db.models.functions import Coalesce, TruncDay, TruncHour

from apps.inference.keys.models import ApiKey

_SUMS = {
    "requests": Count("pk"),
    "failed": Count("pk", filter=Q(status__gte=400) | Q(client_left=True)),
    "prompt_tokens": Coalesce(Sum("prompt_tokens"), 0),
    "cached_tokens": Coalesce(Sum("cached_tokens"), 0),
    "completion_tokens": Coalesce(Sum("completion_tokens"), 0),
    "time_to_first_token": Avg("time_to_first_token"),
    "tokens_per_second": Avg("tokens_per_second"),
}
"""What several records come to; the last two are means of those that have them."""


class RequestRecordQuerySet(models.QuerySet["RequestRecord"]):
    def without_text(self) -> RequestRecordQuerySet:
        """For lists: what was said may be long."""
        return self.defer("request_text", "answer_text").select_related("key")

    def totals(self) -> dict[str, Any]:
        """What all of them come to, by the names of the sums."""
        return self.aggregate(**_SUMS)

    def by_time(self, unit: Literal["hour", "day"]) -> list[dict[str, Any]]:
        """The same for each hour or day (UTC) that has any, in order, with its start as ``at``."""
        start = TruncHour("created_at") if unit == "hour" else TruncDay("created_at")
        grouped = self.order_by().annotate(at=start).values("at").annotate(**_SUMS)
        return [dict(row) for row in grouped.order_by("at")]


class RequestRecord(models.Model):
    """One request to /v1, written when it has ended. Times are in seconds.

    Without what was said, unless the owner turned that on (``MLXHUB_LOG_PROMPTS``).
    """

    created_at = models.DateTimeField(db_index=True, help_text="When the request came.")
    key = models.ForeignKey(
        ApiKey,
        on_delete=models.SET_NULL,
        null=True,
        related_name="requests",
        help_text="Empty: the owner, without a key.",
    )
    model = models.CharField(max_length=200, blank=True)
    adapter = models.CharField(max_length=120, blank=True)
    endpoint = models.CharField(max_length=120, help_text="For example POST /v1/chat/completions.")
    status = models.PositiveSmallIntegerField(
        help_text="HTTP status; 499: the client left before it got one."
    )
    error_code = models.CharField(max_length=60, blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    streamed = models.BooleanField(default=False)
    client_left = models.BooleanField(default=False, help_text="Before the answer was complete.")
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0, help_text="Of the prompt's.")
    completion_tokens = models.PositiveBigIntegerField(default=0)
    time_to_first_token = models.FloatField(null=True)
    tokens_per_second = models.FloatField(null=True)
    duration = models.FloatField(help_text="From the request to the end of its answer.")
    request_text = models.TextField(blank=True)
    answer_text = models.TextField(blank=True)

    objects = RequestRecordQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("key", "created_at"), name="usage_of_key"),)

    def __str__(self) -> str:
        return f"{self.endpoint} at {self.created_at:%Y-%m-%d %H:%M:%S}: {self.status}"

    @property
    def model_name(self) -> str:
        """The model as it was called, with its adapter."""
        return f"{self.model}:{self.adapter}" if self.adapter else self.model
