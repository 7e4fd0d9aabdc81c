"""What the hub remembers about inference: the prompt cache's mirror and what to keep warm."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils import timezone

from apps.jobs.models import Job, JobQuerySet, JobState
from apps.models.models import Adapter, LocalModel


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

    def waiting(self) -> WarmPromptQuerySet:
        """Prompts that the worker is to warm."""
        return self.filter(state=WarmPrompt.State.WAITING)

    def in_progress(self) -> WarmPromptQuerySet:
        """Prompts that are being warmed, or wait for it."""
        return self.filter(state__in=(WarmPrompt.State.WAITING, WarmPrompt.State.WARMING))

    def left_cold(self, *, digest: str, loaded_at: datetime) -> WarmPromptQuerySet:
        """Enabled prompts of a model that nobody has tried to warm since it was loaded."""
        untried = models.Q(tried_at=None) | models.Q(tried_at__lt=loaded_at)
        cold = self.enabled().filter(untried, model__digest=digest)
        cold = cold.exclude(pk__in=self.in_progress().values("pk"))
        return cold.select_related("model", "adapter__base")

    def ask_for_warming(self) -> int:
        """Have these wait for the worker; how many. Use tasks.queue_warming."""
        return self.update(
            state=WarmPrompt.State.WAITING, tokens_done=0, tokens_total=None, last_error=""
        )


class WarmPrompt(models.Model):
    """A system prompt whose KV the hub computes ahead of the first chat."""

    class State(models.TextChoices):
        IDLE = "idle", "not warmed yet"
        WAITING = "waiting", "waiting"
        WARMING = "warming", "warming"
        WARM = "warm", "warm"
        FAILED = "failed", "failed"

    name = models.CharField(max_length=120, unique=True)
    model = models.ForeignKey(LocalModel, on_delete=models.CASCADE, related_name="warm_prompts")
    adapter = models.ForeignKey(
        Adapter,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="warm_prompts",
        help_text="Whose KV it is to be; empty: the model's own.",
    )
    system_prompt = models.TextField()
    pinned = models.BooleanField(default=True, help_text="Keep it from eviction.")
    enabled = models.BooleanField(
        default=True, help_text="Warm it when the hub starts and when its model is loaded."
    )
    state = models.CharField(max_length=16, choices=State, default=State.IDLE, editable=False)
    tokens_done = models.PositiveIntegerField(default=0, editable=False)
    tokens_total = models.PositiveIntegerField(null=True, editable=False)
    tried_at = models.DateTimeField(
        null=True, editable=False, help_text="When the last try ended, well or not."
    )
    last_warmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = WarmPromptQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError where the adapter is over another model."""
        if self.adapter is not None and self.adapter.base_id != self.model_id:
            reason = "This adapter is over another model. Choose one over the model above."
            raise ValidationError({"adapter": reason})

    @property
    def target(self) -> str:
        """What it is warmed for: ``model`` or ``model:adapter``."""
        return str(self.adapter) if self.adapter else self.model.slug

    @property
    def progress(self) -> str:
        """The state in words, with how far it is."""
        if self.state == self.State.WARMING and self.tokens_total is not None:
            return f"warming {self.tokens_done:,} of {self.tokens_total:,} tokens"
        return str(self.get_state_display())

    def take(self) -> bool:
        """Make this waiting prompt the caller's to warm; False where it no longer waits."""
        waiting = WarmPrompt.objects.waiting().filter(pk=self.pk)
        return bool(waiting.update(state=self.State.WARMING))

    def put_back(self) -> None:
        """Let it wait once more."""
        self._save(state=self.State.WAITING)

    def warming_began(self) -> None:
        self._save(state=self.State.WARMING, tokens_done=0, tokens_total=None, last_error="")

    def warming_is_at(self, done: int, total: int) -> None:
        """``done`` of ``total`` tokens have their KV."""
        self._save(tokens_done=done, tokens_total=total)

    def warming_succeeded(self, *, tokens: int) -> None:
        now = timezone.now()
        self._save(
            state=self.State.WARM,
            tokens_done=tokens,
            tokens_total=tokens,
            tried_at=now,
            last_warmed_at=now,
        )

    def warming_failed(self, reason: str) -> None:
        self._save(state=self.State.FAILED, tried_at=timezone.now(), last_error=reason)

    def forget_warming(self) -> None:
        """It was changed: what was warmed is not what it says now."""
        self._save(state=self.State.IDLE, tokens_done=0, tokens_total=None, tried_at=None)

    def _save(self, **fields: object) -> None:
        # Not save(): the prompt may be edited, or deleted, while it is being warmed.
        for name, value in fields.items():
            setattr(self, name, value)
        WarmPrompt.objects.filter(pk=self.pk).update(**fields)


THIS_HUB = "this hub"
"""What a benchmark calls the server that is not another one."""


class BenchmarkRunQuerySet(JobQuerySet["BenchmarkRun"]):
    def done(self) -> BenchmarkRunQuerySet:
        return self.filter(state=JobState.DONE)


class BenchmarkRun(Job):
    """One benchmark of a model on this hub, or on another server, and what it found."""

    base_url = models.CharField(max_length=500, blank=True, help_text="Empty: this hub.")
    model_name = models.CharField(max_length=200, help_text="As the server calls it.")
    model_digest = models.CharField(max_length=80, blank=True, help_text="Empty: not known.")
    parameters = models.BigIntegerField(null=True, help_text="Number of weights, where known.")
    plan = models.JSONField(help_text="A benchmarks.measuring.plan.Plan.")
    steps_done = models.PositiveIntegerField(default=0)
    steps_total = models.PositiveIntegerField(default=0)
    figures = models.JSONField(null=True, help_text="A benchmarks.measuring.figures.Figures.")
    peak_memory_bytes = models.PositiveBigIntegerField(
        null=True, help_text="The engine's, during the run; empty for another server."
    )
    machine = models.JSONField(default=dict, help_text="Where it ran, and with which versions.")

    objects = BenchmarkRunQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=("state",),
                condition=models.Q(state=JobState.RUNNING),
                name="one_benchmark_runs_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"Benchmark {self.pk}: {self.model_name} on {self.target}"

    def get_absolute_url(self) -> str:
        return reverse("benchmarks:detail", args=[self.pk])

    @property
    def target(self) -> str:
        """Which server is measured, in words."""
        return urlsplit(self.base_url).netloc if self.base_url else THIS_HUB

    @property
    def steps(self) -> str:
        """How far it is, in words."""
        return f"{self.steps_done} of {self.steps_total} steps"

    @property
    def is_done(self) -> bool:
        return self.state == JobState.DONE
