"""A run's events, written to the database once each, however often a worker dies.

The events and how far the file is read change in one transaction. What a resumed run
tells again replaces what it told before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.training.models import Metric, Sample, TrainingJob
from apps.training.series import refresh_spans
from apps.training.trainer.events import (
    Ended,
    Evaluated,
    Event,
    Failed,
    Measured,
    Sampled,
    Saved,
    Started,
    Trained,
    read_events,
)


@dataclass
class _Batch:
    """What the events of one reading come to."""

    metrics: dict[tuple[str, int], float] = field(default_factory=dict)
    samples: dict[tuple[int, int], str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    """Of the job's row."""

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.fields |= {"facts": event.model_dump(mode="json"), "step": event.step}
            case Trained():
                for name in _CURVES:
                    self.metrics[name, event.step] = getattr(event, name)
                for figure, value in event.figures.items():
                    self.metrics[figure, event.step] = value
                self.fields["step"] = event.step
            case Evaluated():
                self.metrics[Metric.Name.VALIDATION, event.step] = event.loss
                for name, of in _VALIDATION.items():
                    if of in event.figures:
                        self.metrics[name, event.step] = event.figures[of]
                shown = event.model_dump(mode="json", include={"step", "best_rows", "worst_rows"})
                self.fields["rows"] = shown
            case Measured():
                self.metrics[Metric.Name.TEST, event.step] = event.loss
                self.fields["test"] = event.model_dump(mode="json", exclude={"kind"})
            case Sampled():
                self.samples[event.prompt, event.step] = event.text
            case Saved():
                self.fields["step"] = event.step
            case Ended():
                self.fields |= {"ending": event.reason, "step": event.step}
            case Failed():
                self.fields["fault"] = event.fault


_CURVES = (
    Metric.Name.LOSS,
    Metric.Name.RATE,
    Metric.Name.NORM,
    Metric.Name.SPEED,
    Metric.Name.MEMORY,
    Metric.Name.SECONDS,
)


_VALIDATION = {
    Metric.Name.VALIDATION_MARGIN: "reward_margin",
    Metric.Name.VALIDATION_ACCURACY: "reward_accuracy",
}
"""Curves of evaluations, and which figure of theirs it is."""


def record(job: TrainingJob) -> list[Event]:
    """Write what the run told since the last reading; the events of it."""
    events, read = read_events(job.run, job.events_read)
    if not events:
        return []
    batch = _Batch()
    for event in events:
        batch.take(event)
    batch.fields["events_read"] = read
    with transaction.atomic():
        Metric.objects.bulk_create(
            [
                Metric(job=job, name=name, step=step, value=value)
                for (name, step), value in batch.metrics.items()
            ],
            update_conflicts=True,
            unique_fields=("job", "name", "step"),
            update_fields=("value",),
        )
        refresh_spans(job, {step for _, step in batch.metrics})
        Sample.objects.bulk_create(
            [
                Sample(job=job, prompt=prompt, step=step, text=text)
                for (prompt, step), text in batch.samples.items()
            ],
            update_conflicts=True,
            unique_fields=("job", "prompt", "step"),
            update_fields=("text",),
        )
        TrainingJob.objects.filter(pk=job.pk).update(**batch.fields)
    for name, value in batch.fields.items():
        setattr(job, name, value)
    return events
