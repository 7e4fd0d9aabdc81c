"""What the worker does for downloads: works off the queue, two at a time.

The task takes no number: whichever waits longest is next, by the order that people gave
them. So it does not matter how often the worker is woken up, nor for which.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.discovery.downloads.errors import NoPlace
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import run_download, settle_downloads
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, worker_stops

logger = logging.getLogger(__name__)


@db_task()
def work_off_downloads() -> None:
    """Bring one waiting download after another, while there is a place for one."""
    while not worker_stops.is_set():
        download = Download.objects.queued().in_turn().first()
        if download is None:
            return
        try:
            run_download(download, worker_stops=worker_stops, stopped_as=JobState.QUEUED)
        except NoPlace:
            return  # those who have one go on with the queue
        except DatabaseError:
            raise  # such as a full disk: nothing could be claimed now, and the next minute tries
        except Exception:
            # Its row says that it failed; those behind it are to have their turn.
            logger.exception("The download of %s failed.", download)


def take_up_downloads() -> None:
    """Go on with what a worker that ended left in the middle or in the queue."""
    settle_downloads()
    if Download.objects.queued().exists():
        work_off_downloads()


on_startup()(once_a_process(take_up_downloads))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_downloads() -> None:
    """Take up what nobody is at: of a process that is gone, or whose wake-up call got lost."""
    take_up_downloads()
