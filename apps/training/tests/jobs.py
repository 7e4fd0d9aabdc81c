"""A small training job's settings, and running it here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from apps.models.models import LocalModel
from apps.training.models import TrainingJob
from apps.training.running import run
from apps.training.trainer.config import parse_config

SETTINGS: dict[str, Any] = {
    "num_layers": -1,
    "iters": 400,
    "batch_size": 3,
    "learning_rate": 0.003,
    "steps_per_report": 10,
    "steps_per_eval": 200,
    "steps_per_save": 20,
    "prompts": ["Number 3?"],
    "prompt_tokens": 4,
    "lora": {"rank": 2, "scale": 4.0, "dropout": 0.1},
}


def trained(
    job: TrainingJob,
    *,
    stops: threading.Event | None = None,
    at_step: tuple[int, Callable[[], None]] | None = None,
) -> TrainingJob:
    """The job after it ran here; ``at_step``: what to do once it is so far."""
    left = [at_step] if at_step else []

    def look(doing: str, fraction: float) -> None:
        if left and left[0] is not None and fraction * job.steps >= left[0][0]:
            _, act = left.pop()
            act()

    run(job, stops=stops or threading.Event(), on_progress=look)
    job.refresh_from_db()
    return job


def make_job(base: LocalModel | None = None, **fields: Any) -> TrainingJob:
    """A job's row, without anything that it is about."""
    values: dict[str, Any] = {
        "name": "Numbers",
        "slug": f"numbers-{TrainingJob.objects.count()}",
        "base": base,
        "base_name": base.name if base else "Gone",
        "data": "/data",
        "settings": parse_config(SETTINGS | {"model": "", "data": ""}).model_dump(
            mode="json", exclude={"model", "data"}
        ),
        "steps": SETTINGS["iters"],
    }
    return TrainingJob.objects.create(**(values | fields))
