"""Several runs beside each other: which settings tell them apart, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min
from django.template.defaultfilters import filesizeformat

from apps.training.dotted import by_dotted_names
from apps.training.models import Metric, TrainingJob
from apps.training.shown import duration
from apps.training.sources import name_of

MOST_RUNS = 5
"""As many as there are colours to tell them apart by."""

SHORTENED = 80
"""Characters of a setting that are shown."""

NONE = "–"  # noqa: RUF001 - as the templates write it
"""Where a run has no such figure."""


@dataclass(frozen=True)
class Row:
    """One setting or result, by run."""

    label: str
    values: Sequence[str]
    best: int | None = None
    """Which run has the best value; None: nobody, or it can't be said."""

    @property
    def cells(self) -> list[tuple[str, bool]]:
        """Each value, and whether it is the best, as far as it is shown."""
        best = None if self.best is None else self.values[self.best]
        return [(value, value == best) for value in self.values]


def differing_settings(jobs: Sequence[TrainingJob]) -> list[Row]:
    """The settings that are not the same in all runs, in the order of their names."""
    settings = [dict(by_dotted_names(job.settings)) | _origin(job) for job in jobs]
    names = dict.fromkeys(name for each in settings for name in each)
    rows = (Row(name, [_shown(each.get(name)) for each in settings]) for name in names)
    return [row for row in rows if len(set(row.values)) > 1]


def results(jobs: Sequence[TrainingJob]) -> list[Row]:
    """What the runs came to; rows that no run has a figure for are left out."""
    figures = [_Figures(job) for job in jobs]
    rows = [
        _row("State", ["stopped" if job.is_stopped else job.get_state_display() for job in jobs]),
        _row("Steps", [f"{job.step:,} of {job.steps:,}" for job in jobs]),
        _measured("Best validation loss", [each.best_validation for each in figures], _loss, min),
        _measured("Last validation loss", [each.validation for each in figures], _loss, min),
        _measured("Test loss", [each.test for each in figures], _loss, min),
        _measured("Last training loss", [each.loss for each in figures], _loss, min),
        _measured("Time", [each.seconds for each in figures], duration, min),
        _measured("Tokens per second", [each.speed for each in figures], _speed, max),
        _measured("Peak memory", [each.memory for each in figures], _bytes, min),
        _row("Made", [job.api_name or NONE for job in jobs]),
    ]
    return [row for row in rows if any(value != NONE for value in row.values)]


class _Figures:
    """A run's, each None where it was never told."""

    def __init__(self, job: TrainingJob) -> None:
        name = Metric.Name
        validation = Metric.objects.series(job, name.VALIDATION)
        self.best_validation: float | None = validation.aggregate(best=Min("value"))["best"]
        self.validation = _last(job, name.VALIDATION)
        self.test = _last(job, name.TEST)
        self.loss = _last(job, name.LOSS)
        self.seconds = _last(job, name.SECONDS)
        self.speed = _last(job, name.SPEED)
        memory = Metric.objects.series(job, name.MEMORY)
        self.memory: float | None = memory.aggregate(most=Max("value"))["most"]


def _last(job: TrainingJob, name: str) -> float | None:
    metric = Metric.objects.series(job, name).last()
    return None if metric is None else metric.value


def _row(label: str, values: Sequence[str]) -> Row:
    return Row(label, values)


def _measured(
    label: str,
    values: Sequence[float | None],
    form: Callable[[float], str],
    best_of: Callable[[Sequence[float]], float],
) -> Row:
    known = [value for value in values if value is not None]
    shown = [NONE if value is None else form(value) for value in values]
    # Where all look the same, there is no best one.
    differ = len({value for value in shown if value != NONE}) > 1
    best = values.index(best_of(known)) if differ else None
    return Row(label, shown, best)


def _origin(job: TrainingJob) -> dict[str, Any]:
    data = name_of(job.dataset) if job.dataset else job.data
    # A path tells people nothing; the name is what they chose.
    started = str(job.start_adapter or "an adapter that is deleted")
    goes_on = job.settings.get("resume_adapter_file")
    return {
        "base": job.base_name,
        "data": data,
        "resume_adapter_file": started if goes_on else None,
    }


def _shown(value: Any) -> str:
    if value is None or value == "":
        return NONE
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORTENED else f"{text[: SHORTENED - 1]}…"


def _loss(value: float) -> str:
    return f"{value:.4f}"


def _speed(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: float) -> str:
    return str(filesizeformat(value))
