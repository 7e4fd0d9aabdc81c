"""What there is to tell MLflow of a training job, read from its rows."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.jobs.models import JobState
from apps.training.dotted import by_dotted_names
from apps.training.models import Metric, TrainingJob
from apps.training.sources import name_of

MOST_CHARACTERS = 5000
"""Of a value; MLflow takes 6,000 in a parameter and as many bytes in a tag."""

POINTS_PER_CURVE = 1000 // len(Metric.Name.values)
"""Told at a time; MLflow takes 1,000 points of all curves together."""

STATUSES = {
    JobState.QUEUED: "SCHEDULED",
    JobState.RUNNING: "RUNNING",
    JobState.PAUSED: "SCHEDULED",
    JobState.DONE: "FINISHED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "KILLED",
    JobState.INTERRUPTED: "KILLED",
}
"""MLflow's word for each state."""

Point = tuple[str, float, int, int]
"""A curve's name, the value, the time in ms since 1970, and the step."""


def params_of(job: TrainingJob) -> dict[str, str]:
    """Its settings, those of a group by dotted names."""
    return {
        "base": job.base.slug if job.base else job.base_name,
        **{name: _short(value) for name, value in by_dotted_names(job.settings)},
    }


def data_of(job: TrainingJob) -> dict[str, str]:
    """The rows it learns: name, digest and source of a dataset's version, or of a folder."""
    if job.dataset is None:
        return {"name": "folder", "digest": "", "source": json.dumps({"folder": job.data})}
    version = job.dataset
    source = {"dataset": version.dataset.slug, "version": version.number, "sha256": version.digest}
    # MLflow takes 36 characters of a digest.
    return {
        "name": name_of(version),
        "digest": version.digest[:32],
        "source": json.dumps(source),
    }


def tags_of(job: TrainingJob) -> dict[str, str]:
    """What may change during a run; MLflow keeps the latest."""
    facts = {f"mlx_hub.{name}": str(value) for name, value in job.facts.items() if name != "kind"}
    tags = {
        "mlx_hub.job": str(job.pk),
        "mlx_hub.state": job.state,
        "mlx_hub.base": job.base.slug if job.base else job.base_name,
        "mlx_hub.base_digest": job.base.digest if job.base else "",
        "mlx_hub.dataset": name_of(job.dataset) if job.dataset else "",
        "mlx_hub.made": job.api_name,
        "mlx_hub.ending": job.ending,
        "mlx_hub.fault": job.fault,
        "mlflow.note.content": _short(job.error),
    }
    return {name: value for name, value in (tags | facts).items() if value}


def points_of(job: TrainingJob, after: Mapping[str, int]) -> list[Point]:
    """The next points of each curve behind the steps ``after``; none where all are told.

    A point's time is the job's order and the seconds of training before it: the same
    whenever it is told.
    """
    rows = [
        (name, step, value)
        for name in Metric.Name.values
        for step, value in Metric.objects.series(job, name)
        .filter(step__gt=after.get(name, -1))
        .values_list("step", "value")[:POINTS_PER_CURVE]
    ]
    if not rows:
        return []
    clock = _Clock(job, min(step for _, step, _ in rows), max(step for _, step, _ in rows))
    return [(name, value, clock.at(step), step) for name, step, value in rows]


def milliseconds(moment: datetime) -> int:
    """Since 1970, as MLflow counts."""
    return round(moment.timestamp() * 1000)


class _Clock:
    """When a step was done, if the job had trained since its order without a break."""

    def __init__(self, job: TrainingJob, first: int, last: int) -> None:
        seconds = Metric.objects.series(job, Metric.Name.SECONDS)
        before = seconds.filter(step__lt=first).order_by("-step")[:1]
        within = seconds.filter(step__range=(first, last))
        known = [*before.values_list("step", "value"), *within.values_list("step", "value")]
        self._steps = [step for step, _ in known]
        self._seconds = [value for _, value in known]
        self._start = milliseconds(job.created_at)

    def at(self, step: int) -> int:
        place = bisect_right(self._steps, step)
        return self._start + (round(1000 * self._seconds[place - 1]) if place else 0)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
