"""What the worker does for publications."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.discovery.publishing.models import Publication
from apps.discovery.publishing.running import run
from apps.jobs.control import settle_orphans
from apps.jobs.tasks import once_a_process, worker_stops

LOST = "The process that sent it ended. Publish it again: what is there is not sent twice."


@db_task()
def run_publication(key: int) -> None:
    """Send a queued one, and then whoever waits; one at a time, as there is one line."""
    if Publication.objects.running().exists():
        return  # it stays queued, and is woken up when the other one ends, or within a minute
    publication = Publication.objects.queued().filter(pk=key).first()
    if publication is not None:
        run(publication, stops=worker_stops)
    if not worker_stops.is_set():
        _wake()


def take_up_publications() -> None:
    """Send what nobody was woken up for, and show what is at nobody's hands as interrupted."""
    settle_orphans(Publication.objects.all(), error=LOST)
    _wake()


on_startup()(once_a_process(take_up_publications))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_publications() -> None:
    """For those whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_publications()


def _wake() -> None:
    """The one that was ordered first; what comes twice is run once."""
    for key in Publication.objects.queued().order_by("pk").values_list("pk", flat=True)[:1]:
        run_publication(key)
