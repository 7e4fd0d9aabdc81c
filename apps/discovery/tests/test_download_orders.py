"""Downloads: what an order names, what it joins, and what is refused."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from apps.discovery import errors
from apps.discovery.downloads import place, services
from apps.discovery.downloads.errors import AlreadyOrdered
from apps.discovery.downloads.models import Download
from apps.discovery.tests.conftest import KEPT, REPO
from apps.discovery.tests.downloading import (
    SLUG,
    order,
    pull,
    visible,
)
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState
from apps.models.errors import InvalidName, NameTaken
from apps.models.models import LocalModel

# A running job is written by a thread of its own.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("models_dir", "tiny_repo", "woken"),
]

usage = namedtuple("usage", "total used free")


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
