"""What the hub remembers about inference: the prompt cache's mirror and what to keep warm."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from apps.models.models import LocalModel


class PromptCacheEntry(models.Model):
    """A prompt cache entry as the engine last described it.

    The engine owns the cache; rows are only ever written by the functions in
    services.py and show it in the admin.
    """

    class Kind(models.TextChoices):
        SYSTEM = "system", "system prompt"
        CONVERSATION = "conversation", "conversation"

    id = models.CharField(primary_key=True, max_length=100)
    model = models.CharField(max_length=200)
    model_digest = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, choices=Kind)
    preview = models.TextField(help_text="The first characters of the cached prompt.")
    tokens = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField(help_text="KV bytes; shared spans count in each entry.")
    hits = models.PositiveBigIntegerField()
    pinned = models.BooleanField(help_text="Kept from eviction.")
    in_memory = models.BooleanField()
    on_disk = models.BooleanField()
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()

    class Meta:
        ordering = ("-last_used_at",)
        verbose_name_plural = "prompt cache entries"

    def __str__(self) -> str:
        return f"{self.model}: {self.preview[:60]}"


class WarmPromptQuerySet(models.QuerySet["WarmPrompt"]):
    def enabled(self) -> WarmPromptQuerySet:
        return self.filter(enabled=True)


class WarmPrompt(models.Model):
    """A system prompt whose KV the hub computes ahead of the first chat."""

    name = models.CharField(max_length=120, unique=True)
    model = models.ForeignKey(LocalModel, on_delete=models.CASCADE, related_name="warm_prompts")
    system_prompt = models.TextField()
    pinned = models.BooleanField(default=True, help_text="Keep it from eviction.")
    enabled = models.BooleanField(default=True, help_text="Warm it whenever the hub starts.")
    last_warmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = WarmPromptQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def warming_succeeded(self, at: datetime) -> None:
        self.last_warmed_at, self.last_error = at, ""
        self.save(update_fields=["last_warmed_at", "last_error"])

    def warming_failed(self, reason: str) -> None:
        self.last_error = reason
        self.save(update_fields=["last_error"])
