"""A kind of job that only the tests know: it digs holes.

apps.jobs has no migrations, so the test database gets a table for it by itself.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.jobs.models import HeavyJob, Job, JobQuerySet, JobState, this_process


class Dig(Job):
    holes = models.IntegerField(default=0)
    spade = models.IntegerField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        app_label = "jobs"
        constraints = (
            models.UniqueConstraint(
                fields=("spade",), condition=Q(state=JobState.RUNNING), name="one_dig_a_spade"
            ),
        )

    def __str__(self) -> str:
        return f"dig {self.pk}"


class _Burden(HeavyJob):
    name = models.CharField(max_length=20)

    objects = JobQuerySet.as_manager()

    class Meta:
        app_label = "jobs"
        abstract = True

    def __str__(self) -> str:
        return self.name


class Haul(_Burden):
    class Meta(_Burden.Meta):
        pass


class Lift(_Burden):
    class Meta(_Burden.Meta):
        pass


def dead_runner() -> str:
    """The mark of a process of this machine that is no more."""
    host, pid, _ = this_process().rsplit(":", 2)
    return f"{host}:{pid}:1.00"
