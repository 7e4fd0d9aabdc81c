"""Downloads: the worker that runs them, and what is left where a process ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from apps.discovery.downloads import tasks
from apps.discovery.downloads.errors import NoPlace
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import settle_downloads
from apps.discovery.tests.conftest import WEIGHTS
from apps.discovery.tests.downloading import (
    SLUG,
    WORK_OFF,
    interrupt_at,
    order,
    pull,
    run,
    visible,
)
from apps.discovery.tests.hub_server import HubServer
from apps.jobs import control
from apps.jobs.models import JobState, this_process
from apps.models.deleting import delete_model
from apps.models.models import LocalModel
from apps.models.runtime.accelerator import prepare

# A running job is written by a thread of its own.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("models_dir", "tiny_repo", "woken"),
]


def test_no_more_than_two_run_at_once() -> None:
    first, second, third = (order(slug=slug) for slug in ("one", "two", "three"))
    Download.objects.filter(pk=first.pk).update(state=JobState.RUNNING, place=1)
    Download.objects.filter(pk=second.pk).update(state=JobState.RUNNING, place=2)

    with pytest.raises(NoPlace):
        run(third)
    WORK_OFF()

    assert Download.objects.get(pk=third.pk).state == JobState.QUEUED


def test_the_worker_works_the_queue_off() -> None:
    for slug in ("one", "two", "three"):
        order(slug=slug)

    WORK_OFF()

    assert {model.slug for model in LocalModel.objects.all()} == {"one", "two", "three"}
    assert Download.objects.filter(state=JobState.DONE).count() == 3


def test_a_worker_that_is_stopped_leaves_it_in_the_queue(
    models_dir: Path, hub_server: HubServer
) -> None:
    stops = threading.Event()
    stops.set()

    download = run(order(), stops)

    assert (download.state, download.error, download.runner) == (JobState.QUEUED, "", "")
    assert download.finished_at is None


def test_one_whose_worker_was_killed_is_queued_again(woken: list[None]) -> None:
    download = order()
    Download.objects.update(state=JobState.RUNNING, place=1, runner=dead_runner())

    tasks.take_up_downloads()

    assert Download.objects.get().state == JobState.QUEUED
    assert len(woken) == 2
    assert run(download).state == JobState.DONE


def test_one_whose_worker_was_killed_while_it_was_to_be_cancelled_is_cancelled(
    models_dir: Path,
) -> None:
    download = order()
    (models_dir / f".{SLUG}.partial").mkdir()
    Download.objects.update(state=JobState.RUNNING, place=1, runner=dead_runner())
    control.cancel(download)

    settle_downloads()

    assert Download.objects.get().state == JobState.CANCELLED
    assert visible(models_dir) == set()


def test_an_interrupted_transfer_shows_no_model_and_goes_on_later(
    models_dir: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 0.6, KeyboardInterrupt())
    download = order()
    with pytest.raises(KeyboardInterrupt):
        run(download)
    assert download.state == JobState.QUEUED
    assert not LocalModel.objects.exists()
    assert visible(models_dir) == {f".{SLUG}.partial"}
    hub_server.served.clear()

    run(download)

    assert [name for name, _ in hub_server.served] == [WEIGHTS]
    assert hub_server.starts(WEIGHTS)[0] > 40_000
    assert visible(models_dir) == {SLUG}


def test_a_registration_killed_before_its_commit_is_done_again_without_a_byte(
    models_dir: Path, hub_server: HubServer
) -> None:
    download = pull()
    LocalModel.objects.all().delete()  # what a rollback leaves: the folder and no row
    Download.objects.update(state=JobState.QUEUED, model=None)
    download.refresh_from_db()
    hub_server.served.clear()

    assert run(download).state == JobState.DONE
    assert hub_server.served == []
    assert visible(models_dir) == {SLUG}


def test_one_killed_after_the_registration_finds_its_model(hub_server: HubServer) -> None:
    download = pull()
    Download.objects.update(state=JobState.QUEUED, model=None)
    download.refresh_from_db()

    assert run(download).model == LocalModel.objects.get()


def test_a_pulled_model_can_be_deleted_with_its_files(models_dir: Path) -> None:
    model = pull().model
    assert model is not None
    delete_model(model=model)

    assert visible(models_dir) == set()
    assert Download.objects.get().model is None


def test_a_pulled_model_loads_and_computes() -> None:
    from apps.models.runtime.loading import load

    model = pull().model
    assert model is not None
    loaded = load(Path(model.path), prepare())

    assert loaded.config["model_type"] == "llama"
    assert loaded.weights_bytes > 0


def dead_runner() -> str:
    """The mark of a process that is no more: this one's id, started long ago."""
    host, pid, _ = this_process().rsplit(":", 2)
    return f"{host}:{pid}:1.00"
