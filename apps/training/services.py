"""Ordering training jobs, and what a person may do with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.jobs import control
from apps.models.models import Adapter, LocalModel
from apps.models.naming import slug_from
from apps.training import tasks
from apps.training.errors import BadOrder
from apps.training.models import TrainingJob
from apps.training.trainer.config import parse_config
from apps.training.trainer.errors import BadConfig


def order(*, base: LocalModel, data: Path, name: str, settings: dict[str, Any]) -> TrainingJob:
    """A queued job. ``settings``: trainer.config.TrainingConfig's, without model and data.

    Raises BadOrder.
    """
    slug = _free_slug(base, name)
    data = data.expanduser().absolute()
    if not (data / "train.jsonl").is_file():
        raise BadOrder(f"There is no train.jsonl in {data}. Choose a folder that has one.")
    try:
        config = parse_config({**settings, "model": base.path, "data": str(data)})
    except BadConfig as error:
        raise BadOrder(str(error)) from error
    return TrainingJob.objects.create(
        name=name,
        slug=slug,
        base=base,
        base_name=base.name,
        data=str(data),
        settings=config.model_dump(mode="json", exclude={"model", "data"}),
        steps=config.iters,
    )


def start(*, job: TrainingJob) -> None:
    """Have the worker train once the transaction is committed."""
    transaction.on_commit(lambda: tasks.run_training(job.pk))


def stop(*, job: TrainingJob) -> None:
    """End it with a checkpoint and its adapter as it is; it may be resumed."""
    control.pause(job)


def cancel(*, job: TrainingJob) -> None:
    """End it without saving anything more."""
    control.cancel(job)


def resume(*, job: TrainingJob) -> None:
    """Go on from the newest checkpoint."""
    with transaction.atomic():
        if control.requeue(job):
            start(job=job)


def delete(*, job: TrainingJob) -> None:
    """Forget a job that stands still, with its checkpoints; its adapter stays. Raises BadOrder."""
    deleted, _ = (
        TrainingJob.objects.exclude(pk__in=TrainingJob.objects.active()).filter(pk=job.pk).delete()
    )
    if not deleted:
        raise BadOrder(f"{job.name} is still at work. Stop or cancel it first.")
    shutil.rmtree(job.run, ignore_errors=True)


def _free_slug(base: LocalModel, name: str) -> str:
    """Raises BadOrder where the name can't be used or is taken."""
    slug = slug_from(name)
    if not slug:
        raise BadOrder("The name needs some letters or digits.")
    taken = Adapter.objects.named(base, slug).exists()
    if taken or TrainingJob.objects.filter(base=base, slug=slug).exists():
        raise BadOrder(
            f"Another adapter or job over {base.name} is called {slug!r}. Choose another name."
        )
    return slug
