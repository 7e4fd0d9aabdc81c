"""Downloads: from a repository's name to a registered model."""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from apps.discovery import errors, hub
from apps.discovery.downloads import bringing, place, services, tasks, watching
from apps.discovery.downloads.errors import AlreadyOrdered, NoPlace, StillUnfinished
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import settle_downloads
from apps.discovery.tests.conftest import KEPT, REPO
from apps.discovery.tests.downloading import SLUG, order, pull, run, visible
from apps.discovery.tests.hub_server import Failure, HubServer
from apps.jobs import control
from apps.jobs.models import JobState, this_process
from apps.models import landing
from apps.models.deleting import delete_model
from apps.models.errors import InvalidName, NameTaken
from apps.models.models import LocalModel
from apps.models.runtime.accelerator import prepare
from tests.hub_process import until

# A running job is written by a thread of its own.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]

WEIGHTS = "model.safetensors"
usage = namedtuple("usage", "total used free")


@pytest.fixture(autouse=True)
def tiny(models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add(REPO, tiny_files)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, share: float, end: BaseException) -> None:
    """Raise ``end`` once so much of the next transfer is here."""
    real = watching.Watch.on_step

    def on_step(self: Any, step: hub.Step) -> None:
        real(self, step)
        if step.done > share * self._total:
            monkeypatch.setattr(watching.Watch, "on_step", real)
            raise end

    monkeypatch.setattr(watching.Watch, "on_step", on_step)


# --- ordering --------------------------------------------------------------------


def test_an_order_knows_commit_and_exact_bytes_before_a_byte_is_fetched(
    hub_server: HubServer, woken: list[None]
) -> None:
    download = order()

    files = hub_server.repos[REPO].files
    assert download.state == JobState.QUEUED
    assert download.commit == hub_server.repos[REPO].commit
    assert download.bytes_total == sum(len(files[name]) for name in KEPT)
    assert {file.name for file in download.snapshot.files} == KEPT
    assert hub_server.fetched() == []
    assert woken == [None]


def test_a_download_becomes_a_model_among_the_hubs_own(models_dir: Path) -> None:
    download = pull()

    model = LocalModel.objects.get()
    assert (download.state, download.model, download.error) == (JobState.DONE, model, "")
    assert download.bytes_done == download.bytes_total
    assert (model.slug, model.name, model.repo_id) == (SLUG, "Tiny-Llama", REPO)
    assert (model.source, model.license) == (LocalModel.Source.HUB, "apache-2.0")
    assert Path(model.path) == models_dir / SLUG
    assert {path.name for path in Path(model.path).iterdir()} == KEPT
    assert visible(models_dir) == {SLUG}


def test_a_model_that_is_here_is_not_ordered_again(hub_server: HubServer) -> None:
    model = pull().model
    hub_server.requests.clear()

    assert services.start(repo_id=REPO) == services.Ordered(model=model)
    assert hub_server.requests == []


def test_a_model_that_another_program_keeps_is_here_too(models_dir: Path) -> None:
    pull()
    LocalModel.objects.update(source=LocalModel.Source.FOLDER)

    assert services.start(repo_id=REPO).model == LocalModel.objects.get()


def test_a_name_of_its_own_makes_a_copy_of_its_own(models_dir: Path) -> None:
    pull()
    copy = pull(slug="copy")

    assert copy.model is not None
    assert copy.model.name == "copy"
    assert visible(models_dir) == {SLUG, "copy"}


def test_another_revision_needs_a_name_of_its_own(
    hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    old = hub_server.repos[REPO].commit
    pull()
    new = hub_server.add(REPO, tiny_files | {"README.md": b"# New\n"}).commit

    assert services.start(repo_id=REPO).model is not None
    assert services.start(repo_id=REPO, revision=old).model is not None
    with pytest.raises(NameTaken, match=f"--revision {new} --name NAME"):
        services.start(repo_id=REPO, revision=new)
    assert pull(revision=new, slug="newer").commit == new


def test_a_model_whose_files_are_gone_is_fetched_again() -> None:
    model = pull().model
    assert model is not None
    shutil.rmtree(model.path)

    assert pull().model == model
    assert {path.name for path in Path(model.path).iterdir()} == KEPT


def test_two_orders_of_one_revision_are_one_download(woken: list[None]) -> None:
    first = order()
    second = services.start(repo_id=REPO)
    third = services.start(repo_id=REPO, revision=first.commit)

    assert (second.download, third.download) == (first, first)
    assert second.joined
    assert Download.objects.count() == 1
    assert woken == [None]


def test_an_order_of_one_that_is_paused_has_it_go_on(woken: list[None]) -> None:
    first = order()
    services.pause(download=first)

    again = services.start(repo_id=REPO)

    assert again.joined
    assert Download.objects.get().state == JobState.QUEUED
    assert len(woken) == 2


def test_another_revision_does_not_cut_in(
    hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    order()
    new = hub_server.add(REPO, tiny_files | {"README.md": b"# New\n"}).commit

    with pytest.raises(AlreadyOrdered, match="Choose another name"):
        services.start(repo_id=REPO, revision=new)


@pytest.mark.parametrize("slug", ["../up", "a/b", "A", ".x", "a:b"])
def test_a_name_that_is_no_name_never_becomes_a_path(
    slug: str, models_dir: Path, hub_server: HubServer
) -> None:
    with pytest.raises(InvalidName):
        services.start(repo_id=REPO, slug=slug)
    assert hub_server.requests == []
    assert list(models_dir.iterdir()) == []


def test_text_that_is_no_repository_never_becomes_a_path(models_dir: Path) -> None:
    with pytest.raises(errors.InvalidRepoId):
        services.start(repo_id="../../etc")
    assert list(models_dir.iterdir()) == []


def test_a_repository_that_is_not_there_leaves_nothing(models_dir: Path) -> None:
    with pytest.raises(errors.RepoNotFound):
        services.start(repo_id="acme/nothing")
    assert visible(models_dir) == set()
    assert not Download.objects.exists()


def test_another_model_keeps_its_name(hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add("other/tiny-llama", tiny_files)
    pull()

    with pytest.raises(NameTaken, match="Choose a name for this one"):
        services.start(repo_id="other/tiny-llama")

    assert pull("other/tiny-llama", slug="theirs").state == JobState.DONE
    assert LocalModel.objects.count() == 2


def test_a_name_that_another_download_is_to_have_is_taken(
    hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    hub_server.add("other/tiny-llama", tiny_files)
    order()

    with pytest.raises(AlreadyOrdered, match=REPO):
        services.start(repo_id="other/tiny-llama")


def test_an_unregistered_folder_in_the_place_is_left_alone(models_dir: Path) -> None:
    (models_dir / SLUG).mkdir()
    (models_dir / SLUG / "mine.txt").write_text("keep")

    with pytest.raises(NameTaken, match="mlx-hub import"):
        services.start(repo_id=REPO)

    assert (models_dir / SLUG / "mine.txt").read_text() == "keep"


def test_a_disk_without_room_is_refused_before_a_byte_is_fetched(
    hub_server: HubServer, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(len(hub_server.repos[REPO].files[name]) for name in KEPT)
    monkeypatch.setattr(place, "FREE_FLOOR_BYTES", 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 999))
    with pytest.raises(errors.NotEnoughDisk, match="Make room"):
        services.start(repo_id=REPO)
    assert hub_server.fetched() == []
    assert visible(models_dir) == set()

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 1000))
    assert order().state == JobState.QUEUED


def test_what_other_downloads_will_write_counts_as_taken(
    hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = order()
    Download.objects.filter(pk=first.pk).update(state=JobState.RUNNING, place=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 2 * first.bytes_total - 1))

    with pytest.raises(errors.NotEnoughDisk, match="other downloads take"):
        services.start(repo_id=REPO, slug="copy")


# --- running ---------------------------------------------------------------------


def test_its_row_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float, dict[str, Any]]] = []
    download = order()

    def report(doing: str, fraction: float, **fields: Any) -> None:
        told.append((doing, fraction, fields))

    bringing.bring(download, report)

    stages = list(dict.fromkeys(doing for doing, _, _ in told))
    assert stages[0] == "downloading config.json (1 kB)"
    assert stages[-3:] == [
        "downloading model.safetensors (98 kB)",
        "checking model.safetensors (98 kB)",
        "computing the digest",
    ]
    assert all(0 <= fraction <= 1 for _, fraction, _ in told)
    counts = [fields["bytes_done"] for _, _, fields in told]
    assert counts == sorted(counts)
    assert counts[-1] == download.bytes_total


@pytest.mark.usefixtures("impatient")
def test_a_body_that_breaks_off_is_gone_on_with(hub_server: HubServer) -> None:
    hub_server.fail(WEIGHTS, Failure(500), Failure(503), Failure(429))

    assert pull().state == JobState.DONE
    assert hub_server.starts(WEIGHTS) == [0]


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_keeps_breaking_is_given_up_and_can_be_resumed(
    hub_server: HubServer, models_dir: Path
) -> None:
    with hub_server.cut_off(WEIGHTS, after=50_000):
        download = pull()

    assert download.state == JobState.FAILED
    assert "goes on from where it stopped" in download.error
    # One try brought bytes, and then as many as may fail in a row did not.
    assert len(hub_server.starts(WEIGHTS)) == watching.TRIES
    assert visible(models_dir) == {f".{SLUG}.partial"}
    hub_server.served.clear()

    services.resume(download=download)
    assert run(download).state == JobState.DONE
    assert hub_server.starts(WEIGHTS)[0] > 40_000
    assert visible(models_dir) == {SLUG}


def test_while_it_waits_for_the_next_try_it_says_so(
    monkeypatch: pytest.MonkeyPatch, hub_server: HubServer
) -> None:
    waits: list[str] = []

    def report(doing: str, fraction: float, **fields: Any) -> None:
        if "Try" in doing:
            waits.append(doing)
            raise control_ends

    control_ends = KeyboardInterrupt()
    hub_server.fail(WEIGHTS, Failure(429, {"Retry-After": "90"}))
    with pytest.raises(KeyboardInterrupt):
        bringing.bring(order(), report)

    assert waits == [f"{hub_server.endpoint} answered with status 429. Try 2 of 8 in 90 s"]


@pytest.mark.usefixtures("impatient")
def test_damaged_content_is_fetched_once_more_and_then_refused(hub_server: HubServer) -> None:
    hub_server.forged[WEIGHTS] = bytes(len(hub_server.repos[REPO].files[WEIGHTS]))

    download = pull()

    assert download.state == JobState.FAILED
    assert "arrived damaged" in download.error
    assert hub_server.starts(WEIGHTS) == [0, 0]


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (401, "Access is restricted. Please log in.", "make an access token"),
        (403, "You are not in the authorized list.", "has not accepted its conditions"),
        (403, "Your request is awaiting a review.", "waits for its authors"),
        (403, "Your request has been rejected.", "refused your request"),
    ],
)
def test_a_gate_fails_it_at_once_with_what_to_do(
    status: int, message: str, told: str, hub_server: HubServer
) -> None:
    hub_server.gate(REPO, status=status, message=message)

    download = pull()

    assert download.state == JobState.FAILED
    assert told in download.error
    assert hub_server.fetched() == ["config.json"]


def test_a_disk_that_fills_up_meanwhile_ends_it_above_the_floor(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = order()
    monkeypatch.setattr(watching, "FLOOR_EVERY", 0.0)
    monkeypatch.setattr(place, "FREE_FLOOR_BYTES", 10)
    frees = iter([10**9, 10**9, 10**9])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, next(frees, 9)))

    run(download)

    assert download.state == JobState.FAILED
    assert "left on the disk" in download.error
    assert visible(models_dir) == {f".{SLUG}.partial"}


def test_files_that_are_no_model_after_all_are_removed(
    models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    hub_server.add("acme/wrong", tiny_files | {"config.json": b'{"hello": "world"}'})

    download = pull("acme/wrong")

    assert download.state == JobState.FAILED
    assert "model_type" in download.error
    assert visible(models_dir) == set()


def test_a_failure_that_nobody_foresaw_fails_it_and_not_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = order(), order(slug="copy")
    interrupt_at(monkeypatch, 0.5, RuntimeError("a bug"))

    WORK_OFF()

    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.state, fine.state) == (JobState.FAILED, JobState.DONE)
    assert "a bug" in caplog.text


# --- what a person may ask -------------------------------------------------------


def test_a_paused_one_keeps_its_files_and_goes_on_in_mid_file(
    models_dir: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = order()
    released = threading.Event()
    hub_server.hold[WEIGHTS] = (60_000, released)
    thread = threading.Thread(target=run, args=(download,))
    thread.start()
    wait_until_running(download)
    services.pause(download=Download.objects.get())
    released_by_pulse(released)
    thread.join()

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
    released = threading.Event()
    hub_server.hold[WEIGHTS] = (60_000, released)
    thread = threading.Thread(target=run, args=(download,))
    thread.start()
    wait_until_running(download)
    services.cancel(download=Download.objects.get())
    released_by_pulse(released)
    thread.join()

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


# --- processes that end ----------------------------------------------------------

WORK_OFF = tasks.work_off_downloads.call_local


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


def wait_until_running(download: Download) -> None:
    until(lambda: Download.objects.filter(pk=download.pk, bytes_done__gt=0).exists())


def released_by_pulse(released: threading.Event) -> None:
    """Let the body go on once the job knows that it is to end."""
    released.set()


def dead_runner() -> str:
    """The mark of a process that is no more: this one's id, started long ago."""
    host, pid, _ = this_process().rsplit(":", 2)
    return f"{host}:{pid}:1.00"
