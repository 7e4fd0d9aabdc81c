"""Ordering training jobs, and what a person may do with them."""

from __future__ import annotations

import re
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.datasets.models import DatasetVersion
from apps.jobs import control
from apps.models import landing
from apps.models.errors import RegistryError
from apps.models.models import Adapter, LocalModel
from apps.models.naming import slug_from
from apps.models.services import require_free, require_vacant
from apps.training import tasks
from apps.training.errors import BadOrder, StillAtWork
from apps.training.models import TrainingJob
from apps.training.preflight import examine
from apps.training.safer import remedy
from apps.training.trainer.config import TrainingConfig, parse_config
from apps.training.trainer.errors import BadConfig


def order(
    *,
    base: LocalModel,
    data: Path,
    name: str,
    settings: dict[str, Any],
    dataset: DatasetVersion | None = None,
    despite_refusals: bool = False,
) -> TrainingJob:
    """A queued job. ``settings``: trainer.config.TrainingConfig's, without model and data.

    ``dataset``: whose folder ``data`` is, if it is one of the hub's. What preflight refuses is not queued, unless its owner knows better. Raises BadOrder.
    """
    config = configured(base=base, data=data, settings=settings)
    slug = _free_slug(base, name, config.method)
    if not despite_refusals:
        examine(base, config).require()
    return TrainingJob.objects.create(
        name=name,
        slug=slug,
        base=base,
        base_name=base.name,
        data=config.data,
        dataset=dataset,
        settings=config.model_dump(mode="json", exclude={"model", "data"}),
        steps=config.iters,
    )


def configured(*, base: LocalModel, data: Path, settings: dict[str, Any]) -> TrainingConfig:
    """The settings, checked, with the model's and the data's folder. Raises BadOrder."""
    data = data.expanduser().absolute()
    if not (data / "train.jsonl").is_file():
        raise BadOrder(f"There is no train.jsonl in {data}. Choose a folder that has one.")
    try:
        return parse_config({**settings, "model": base.path, "data": str(data)})
    except BadConfig as error:
        raise BadOrder(str(error)) from error


def retry_safer(*, job: TrainingJob) -> TrainingJob:
    """A new queued job, as ``job`` with settings under which its fault is less likely.

    Raises BadOrder where there are no such settings, or the base is gone.
    """
    found = remedy(job.config, job.fault)
    if found is None:
        raise BadOrder("No safer settings are known for this failure. Clone the job and choose.")
    if job.base is None:
        raise BadOrder(f"{job.base_name} was deleted. Choose another model and start a new job.")
    again = order(
        base=job.base,
        data=Path(job.data),
        name=next_name(job.base, job.name),
        settings=job.settings | found.settings,
        dataset=job.dataset,
        despite_refusals=True,
    )
    start(job=again)
    return again


def next_name(base: LocalModel, name: str) -> str:
    """``name`` with the next number behind it that is free over ``base``."""
    stem = re.sub(r" \d+$", "", name)[:190]
    taken = set(TrainingJob.objects.filter(base=base).values_list("slug", flat=True))
    taken |= set(Adapter.objects.filter(base=base).values_list("slug", flat=True))
    numbered = (f"{stem} {number}" for number in count(2))
    return next(each for each in numbered if slug_from(each) not in taken)


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
    """Forget a job that stands still, with its checkpoints; what it made stays.

    Raises StillAtWork.
    """
    deleted, _ = (
        TrainingJob.objects.exclude(pk__in=TrainingJob.objects.active()).filter(pk=job.pk).delete()
    )
    if not deleted:
        raise StillAtWork(f"{job.name} is still at work. Stop or cancel it first.")
    shutil.rmtree(job.run, ignore_errors=True)


def _free_slug(base: LocalModel, name: str, method: str) -> str:
    """Raises BadOrder where the name can't be used or is taken."""
    slug = slug_from(name)
    if not slug:
        raise BadOrder("The name needs some letters or digits.")
    if method == "full":
        try:
            require_free(slug, landing.home(slug))
            require_vacant(slug)
        except RegistryError as error:
            raise BadOrder(str(error)) from error
    taken = Adapter.objects.named(base, slug).exists()
    if taken or TrainingJob.objects.filter(base=base, slug=slug).exists():
        raise BadOrder(
            f"Another adapter or job over {base.name} is called {slug!r}. Choose another name."
        )
    return slug
