"""Which jobs on models wait for each other, and for training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apps.jobs.turns import AnotherWorks, turn_of_its_own
from apps.models.work.models import ModelJob

__all__ = ["HEAVY", "AnotherWorks", "alone"]

HEAVY = (ModelJob.Kind.CONVERT, ModelJob.Kind.FUSE)


@contextmanager
def alone(job: ModelJob) -> Iterator[None]:
    """Let ``job`` run while no other job on this machine holds a model. Raises AnotherWorks."""
    if job.kind not in HEAVY:
        yield
        return
    with turn_of_its_own():
        yield
