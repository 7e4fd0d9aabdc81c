"""How long a step takes here: as it was measured, or from what like work took before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from apps.jobs.models import JobState
from apps.models.models import LocalModel
from apps.training.material import Material
from apps.training.models import Metric, StepTiming, TrainingJob
from apps.training.timing import shape_of
from apps.training.trainer.config import TrainingConfig

KNOWN_RUNS = 5
"""Earlier runs of a base that its speed is taken from."""

Source = Literal["measured", "runs", "other shape"]


@dataclass(frozen=True)
class Pace:
    seconds: float
    """Of a step."""
    source: Source


def pace_of(base: LocalModel, material: Material, config: TrainingConfig) -> Pace | None:
    """None where nothing is known of this base.

    A step of this very shape that was timed tells most, then earlier runs, then a timed step
    of another shape.
    """
    timings = StepTiming.objects.filter(base=base, state=JobState.DONE, seconds__gt=0)
    work = _work(config.model_dump(), _length(material))
    same = timings.filter(shape=shape_of(config)).first()
    if same is not None:
        return Pace(_cost(same) * work, "measured")
    like = timings.filter(
        settings__method=config.method, settings__objective=config.objective
    ).first()
    earlier = _earlier(base, config)
    if earlier is not None:
        return Pace(earlier * work, "runs")
    return None if like is None else Pace(_cost(like) * work, "other shape")


def _cost(timing: StepTiming) -> float:
    """Seconds for each unit of work."""
    assert timing.seconds is not None
    return timing.seconds / max(_work(timing.settings, timing.length), 1.0)


def _earlier(base: LocalModel, config: TrainingConfig) -> float | None:
    """The mean cost in earlier runs."""
    recent = TrainingJob.objects.filter(
        base=base,
        step__gt=0,
        facts__rows__gt=0,
        settings__method=config.method,
        settings__objective=config.objective,
    ).order_by("-pk")[:KNOWN_RUNS]
    costs = []
    for job in recent:
        last = Metric.objects.series(job, Metric.Name.SECONDS).last()
        if last is not None and last.step and last.value:
            length = job.facts["tokens"] / job.facts["rows"]
            costs.append(last.value / last.step / _work(job.settings, length))
    return sum(costs) / len(costs) if costs else None


def _length(material: Material) -> float:
    # What a run counts of a pair are both of its answers.
    return material.tokens / max(material.rows, 1) * (2 if material.pairs else 1)


def _work(settings: dict[str, Any], length: float) -> float:
    """What a step costs next to others: its tokens, a third more where they're computed again."""
    tokens = settings["batch_size"] * min(length, settings["max_seq_length"])
    return float(tokens * (4 / 3 if settings["gradient_checkpointing"] else 1))
