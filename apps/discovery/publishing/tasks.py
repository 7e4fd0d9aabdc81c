"""What the worker does for publications."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.discovery.publishing.models import Publication
from apps.discovery.publishing.running import run
from apps.jobs.control import settle_orphans
from apps.jobs.tasks import once_a_process, run_alone, wake_first

LOST = "The process that sent it ended. Publish it again: what is there is not sent twice."


@db_task()
def run_publication(key: int) -> None:
    """Send a queued one, and then whoever waits; one at a time, as there is one line."""
    run_alone(Publication.objects.all(), key, run, wake=run_publication)


def take_up_publications() -> None:
    """Send what nobody was woken up for, and show what is at nobody's hands as interrupted."""
    settle_orphans(Publication.objects.all(), error=LOST)
    wake_first(Publication.objects.all(), wake=run_publication)


on_startup()(once_a_process(take_up_publications))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_publications() -> None:
    """For those whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_publications()
