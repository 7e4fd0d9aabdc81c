"""Brings MLflow up to what the database says of the training jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from django.utils import timezone

from apps.jobs.models import JobState
from apps.training.models import TrainingJob
from apps.training.tracking.errors import RunRefused, StoreUnreachable
from apps.training.tracking.facts import (
    STATUSES,
    Point,
    data_of,
    milliseconds,
    params_of,
    points_of,
    tags_of,
)
from apps.training.tracking.models import TrackedRun
from apps.training.tracking.store import Store
from apps.training.tracking.writing import FILES_SECONDS, Writer, writer
from apps.training.trainer.mlx_lm_yaml import write_yaml

logger = logging.getLogger(__name__)

EXPERIMENT = "MLX Model Hub"


def bring_up(store: Store, *, stops: threading.Event) -> int:
    """Tell ``store`` what it does not know yet, until ``stops`` is set; how many runs it was.

    What goes wrong is kept at the runs that it concerns.
    """
    behind = list(_behind(store))
    if not behind:
        return 0
    told = 0
    try:
        with writer(store) as asked:
            for run in behind:
                if stops.is_set():
                    break
                _tell_or_note(run, asked, stops)
                told += 1
    except StoreUnreachable as error:
        logger.warning("%s", error)
        TrackedRun.objects.filter(pk__in=[run.pk for run in behind[told:]]).update(error=f"{error}")
    return told


def _behind(store: Store) -> Iterator[TrackedRun]:
    """The store's runs that are to be told of, the job that was ordered first before the others."""
    mine = TrackedRun.objects.filter(store=store.shown)
    refused = set(mine.refused_lately().values_list("job_id", flat=True))
    jobs = TrainingJob.objects.newest_first().order_by("pk")
    runs = {run.job_id: run for run in mine}
    for job in jobs:
        known = runs.get(job.pk)
        if job.pk in refused or (known is not None and known.knows(job)):
            continue
        run = known or TrackedRun.objects.create(job=job, store=store.shown)
        run.job = job
        yield run


def _tell_or_note(run: TrackedRun, asked: Writer, stops: threading.Event) -> None:
    """What is refused of the run is noted at it. Raises StoreUnreachable."""
    try:
        _tell(run, asked, stops)
    except RunRefused as error:
        logger.warning("%s: %s", run, error)
        run.error, run.refused_at = f"{error}", timezone.now()
    else:
        run.error, run.refused_at = "", None
    run.save(update_fields=["error", "refused_at"])


def _tell(run: TrackedRun, asked: Writer, stops: threading.Event) -> None:
    """Raises TrackingError."""
    job = run.job
    if not run.run_id:
        _begin(run, asked)
    if not _tell_points(run, asked, stops):
        return
    digest = job.adapter.digest if job.adapter else ""
    if job.adapter is not None and digest != run.adapter:
        asked.ask(
            "files",
            run=run.run_id,
            folder=job.adapter.path,
            place="adapter",
            seconds=FILES_SECONDS,
        )
    end = milliseconds(job.finished_at) if job.finished_at else None
    asked.ask(
        "status", run=run.run_id, status=STATUSES[JobState(job.state)], tags=tags_of(job), end=end
    )
    # What came since the job was read is told the next time.
    run.events, run.state, run.adapter = job.events_read, job.state, digest
    run.told_at = timezone.now()
    run.save(update_fields=["events", "state", "adapter", "told_at"])


def _begin(run: TrackedRun, asked: Writer) -> None:
    job = run.job
    known = asked.ask(
        "begin",
        experiment=EXPERIMENT,
        key=str(run.key),
        name=job.name,
        start=milliseconds(job.created_at),
        tags=tags_of(job),
    )
    asked.ask("describe", run=known, params=params_of(job), data=data_of(job))
    asked.ask("text", run=known, content=write_yaml(job.config), place="lora.yaml")
    run.run_id = known
    run.save(update_fields=["run_id"])


def _tell_points(run: TrackedRun, asked: Writer, stops: threading.Event) -> bool:
    """Whether all are told; False where ``stops`` was set before."""
    known = _known(run, asked)
    while points := points_of(run.job, run.steps):
        if stops.is_set():
            return False
        run.under_way = dict(_last_steps(points))
        run.save(update_fields=["under_way"])
        asked.ask("values", run=run.run_id, points=[each for each in points if not known(each)])
        run.steps |= run.under_way
        run.under_way = {}
        run.save(update_fields=["steps", "under_way"])
    return True


def _known(run: TrackedRun, asked: Writer) -> Callable[[Point], bool]:
    """Tells of a point whether MLflow has it, though nobody heard so."""
    steps = {name: set(asked.ask("steps", run=run.run_id, name=name)) for name in run.under_way}
    return lambda point: point[3] in steps.get(point[0], ())


def _last_steps(points: list[Point]) -> Iterator[tuple[str, int]]:
    """By curve; the points of one come in the order of their steps."""
    for name, _, _, step in points:
        yield name, step
