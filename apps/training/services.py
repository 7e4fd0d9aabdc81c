"""Ordering training jobs, and what a person may do with them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings as hub_settings
from django.db import transaction

from apps.datasets.models import DatasetVersion
from apps.jobs import control, tasks
from apps.jobs.models import ACTIVE, RESUMABLE, JobState, end_of_line
from apps.models import landing
from apps.models.errors import RegistryError
from apps.models.models import Adapter, LocalModel
from apps.models.naming import slug_from
from apps.models.services import require_free, require_vacant
from apps.training.errors import BadOrder, StillAtWork
from apps.training.models import Sweep, TrainingJob
from apps.training.preflight import examine
from apps.training.safer import remedy
from apps.training.starts import adapter_named, start_of, weights_of
from apps.training.trainer.config import TrainingConfig, parse_config
from apps.training.trainer.errors import BadConfig


@dataclass(frozen=True)
class Place:
    """When a job is to have its turn."""

    priority: int = TrainingJob.Priority.NORMAL
    not_before: datetime | None = None
    after: TrainingJob | None = None
    self_resuming: bool = True


def order(
    *,
    base: LocalModel,
    data: Path,
    name: str,
    settings: dict[str, Any],
    dataset: DatasetVersion | None = None,
    place: Place | None = None,
    sweep: Sweep | None = None,
    despite_refusals: bool = False,
) -> TrainingJob:
    """A queued job. ``settings``: trainer.config.TrainingConfig's, without model and data.

    ``dataset``: whose folder ``data`` is, if it is one of the hub's. What preflight refuses
    is not queued, unless its owner knows better. Raises BadOrder.
    """
    config = configured(base=base, data=data, settings=settings)
    slug = _free_slug(base, name, config.method)
    if not despite_refusals:
        examine(base, config).require()
    place = place or Place()
    return TrainingJob.objects.create(
        name=name,
        slug=slug,
        base=base,
        base_name=base.name,
        data=config.data,
        dataset=dataset,
        start_adapter=start_of(config),
        settings=config.model_dump(mode="json", exclude={"model", "data"}),
        steps=config.iters,
        sweep=sweep,
        priority=place.priority,
        not_before=place.not_before,
        after=place.after,
        self_resuming=place.self_resuming,
    )


def configured(*, base: LocalModel, data: Path, settings: dict[str, Any]) -> TrainingConfig:
    """The settings, checked, with the model's and the data's folder. Raises BadOrder."""
    data = data.expanduser().absolute()
    if not (data / "train.jsonl").is_file():
        raise BadOrder(f"There is no train.jsonl in {data}. Choose a folder that has one.")
    settings = {**settings, "model": base.path, "data": str(data)}
    if settings.get("resume_adapter_file"):
        start = adapter_named(settings["resume_adapter_file"], base)
        settings["resume_adapter_file"] = weights_of(start)
    try:
        config = parse_config(settings)
    except BadConfig as error:
        raise BadOrder(str(error)) from error
    unknown = set(config.hosts) - set(map(str, hub_settings.HUB.training_hosts))
    if unknown:
        raise BadOrder(
            f"{', '.join(sorted(unknown))} may not train for this hub. Whoever runs it names the "
            "machines in MLXHUB_TRAINING_HOSTS."
        )
    return config


def retry_safer(*, job: TrainingJob) -> TrainingJob:
    """A new queued job, as ``job`` with settings under which its fault is less likely.

    Raises BadOrder where there are no such settings, or the base is gone.
    """
    found = remedy(job.config, job.fault)
    if found is None:
        raise BadOrder("No safer settings are known for this failure. Clone the job and choose.")
    base = _require_base(job)
    again = order(
        base=base,
        data=Path(job.data),
        name=next_name(base, job.name),
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
    taken |= set(LocalModel.objects.values_list("slug", flat=True))
    numbered = (f"{stem} {number}" for number in count(2))
    return next(each for each in numbered if slug_from(each) not in taken)


def start(*, job: TrainingJob) -> None:
    """Have the worker train in the job's turn, once the transaction is committed."""
    transaction.on_commit(lambda: tasks.take_turns())


def pause(*, job: TrainingJob) -> None:
    """Save a checkpoint and give the turn back; ``resume`` goes on as if nothing had been."""
    control.pause(job)


def stop(*, job: TrainingJob) -> None:
    """End it with its result as it is; it may be resumed. One that did not begin is paused."""
    with transaction.atomic():
        if job.step:
            job.row.filter(state__in=ACTIVE).update(finishing=True)
        job.refresh_from_db()
        # One that has learnt something and waits for its turn needs a moment of it to save that.
        if job.state != JobState.QUEUED or not job.has_checkpoint:
            control.pause(job)


def keep(*, job: TrainingJob) -> None:
    """Have a job that stands still leave what it had learnt at its newest checkpoint.

    Raises BadOrder where there is none, or the base is gone.
    """
    _require_base(job)
    if not job.has_checkpoint:
        raise BadOrder(f"{job.name} has no checkpoint: it was stopped before it saved one.")
    with transaction.atomic():
        job.row.filter(state__in=RESUMABLE).update(finishing=True)
        if control.requeue(job):
            start(job=job)


def cancel(*, job: TrainingJob) -> None:
    """End it without saving anything more."""
    control.cancel(job)


def resume(*, job: TrainingJob) -> bool:
    """Go on from the newest checkpoint, at the end of the line; whether it stood still."""
    with transaction.atomic():
        # One that was stopped is done as far as others are concerned.
        job.row.filter(state=JobState.DONE, ending="stopped").update(state=JobState.PAUSED)
        job.row.filter(state__in=RESUMABLE).update(
            finishing=False, deaths=0, rank=end_of_line(), not_before=None
        )
        if not control.requeue(job):
            return False
        if job.result is not None and job.base is not None:
            # The model that it left stays as it is; what comes of this is another one.
            name = next_name(job.base, job.name)
            job.row.update(name=name, slug=slug_from(name), result=None)
        start(job=job)
    job.refresh_from_db()
    return True


def arrange(*, job: TrainingJob, place: Place) -> None:
    """Give a job that waits another place. Raises BadOrder where it would wait for itself."""
    other = place.after
    while other is not None:
        if other == job:
            raise BadOrder(f"{job.name} would wait for itself. Choose another job.")
        other = other.after
    job.row.update(
        priority=place.priority,
        not_before=place.not_before,
        after=place.after,
        self_resuming=place.self_resuming,
    )
    job.refresh_from_db()
    if job.state == JobState.QUEUED:
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


def _require_base(job: TrainingJob) -> LocalModel:
    """Raises BadOrder."""
    if job.base is None:
        raise BadOrder(f"{job.base_name} was deleted. Choose another model and start a new job.")
    return job.base


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
