"""Downloads: what a person may ask of one that is ordered."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import OperationalError

from apps.discovery.downloads import services, tasks
from apps.discovery.downloads.errors import StillUnfinished
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import settle_downloads
from apps.discovery.tests.conftest import WEIGHTS
from apps.discovery.tests.downloading import (
    SLUG,
    WORK_OFF,
    order,
    run,
    visible,
)
from apps.discovery.tests.hub_server import HubServer
from apps.jobs import control
from apps.jobs.models import JobState
from apps.models import landing
from apps.models.models import LocalModel
from tests.hub_process import until

# A running job is written by a thread of its own.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("models_dir", "tiny_repo", "woken"),
]


@contextmanager
def running(download: Download, hub_server: HubServer) -> Iterator[None]:
    """In the middle of its weights; afterwards it is over."""
    released = threading.Event()
    hub_server.hold[WEIGHTS] = (60_000, released)
    thread = threading.Thread(target=run, args=(download,))
    thread.start()
    until(lambda: Download.objects.filter(pk=download.pk, bytes_done__gt=0).exists())
    yield
    released.set()
    thread.join()


def test_a_paused_one_keeps_its_files_and_goes_on_in_mid_file(
    models_dir: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = order()
    with running(download, hub_server):
        services.pause(download=Download.objects.get())

    download.refresh_from_db()
    assert (download.state, download.wish) == (JobState.PAUSED, "")
    assert visible(models_dir) == {f".{SLUG}.partial"}
    hub_server.hold.clear()
    hub_server.served.clear()

    services.resume(download=download)
    assert run(download).state == JobState.DONE
    assert hub_server.starts(WEIGHTS)[0] >= 40_000


def test_one_that_is_cancelled_while_it_runs_leaves_nothing(
    models_dir: Path, hub_server: HubServer
) -> None:
    download = order()
    with running(download, hub_server):
        services.cancel(download=Download.objects.get())

    assert Download.objects.get().state == JobState.CANCELLED
    assert visible(models_dir) == set()
    assert not LocalModel.objects.exists()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.PAUSED, JobState.FAILED])
def test_one_that_stands_still_is_cancelled_at_once_with_its_files(
    state: str, models_dir: Path
) -> None:
    download = order()
    (models_dir / f".{SLUG}.partial").mkdir()
    Download.objects.update(state=state)

    services.cancel(download=download)

    assert download.state == JobState.CANCELLED
    assert visible(models_dir) == set()


def test_a_cancelled_one_is_cleared_away_without_waiting_for_another_of_its_name(
    hub_server: HubServer, tiny_files: dict[str, bytes], models_dir: Path
) -> None:
    services.cancel(download=order())
    hub_server.add("other/Tiny-Llama", tiny_files)
    control.pause(order("other/Tiny-Llama"))
    landing.partial(SLUG).mkdir()

    with (models_dir / f".{SLUG}.lock").open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        settle_downloads()

    assert landing.partial(SLUG).is_dir()


def test_a_worker_that_can_claim_nothing_leaves_the_queue_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order()

    def full(*args: object, **kwargs: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(tasks, "run_download", full)

    with pytest.raises(OperationalError):
        WORK_OFF()


def test_one_that_was_cancelled_can_be_ordered_again(woken: list[None]) -> None:
    download = order()
    services.cancel(download=download)

    again = order()

    assert again == download
    assert run(again).state == JobState.DONE


def test_the_order_of_the_queue_can_be_changed() -> None:
    slugs = ["one", "two", "three"]
    downloads = [order(slug=slug) for slug in slugs]
    services.put_first(download=downloads[2])
    services.put_first(download=downloads[1])

    in_turn = [download.slug for download in Download.objects.queued().in_turn()]
    assert in_turn == ["two", "three", "one"]


def test_only_what_is_over_can_be_forgotten() -> None:
    download = order()
    with pytest.raises(StillUnfinished):
        services.forget(download=download)
    run(download)

    services.forget(download=download)

    assert not Download.objects.exists()
    assert LocalModel.objects.exists()
