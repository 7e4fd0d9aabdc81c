"""Pulling: from a repository's name to a registered model."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from apps.discovery import errors, services
from apps.discovery.tests.conftest import KEPT, REPO
from apps.discovery.tests.hub_server import HubServer
from apps.models import landing
from apps.models import services as registry
from apps.models.errors import InvalidName, NameTaken
from apps.models.models import LocalModel
from apps.models.runtime.accelerator import prepare
from apps.models.runtime.errors import ModelFormatError

pytestmark = pytest.mark.django_db

SLUG = "tiny-llama"


@pytest.fixture(autouse=True)
def tiny(models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add(REPO, tiny_files)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_pulled_model_is_registered_and_lies_with_the_hubs_own(models_dir: Path) -> None:
    pulled = services.pull(repo_id=REPO)

    assert pulled.downloaded
    model = LocalModel.objects.get()
    assert pulled.model == model
    assert (model.slug, model.name, model.repo_id) == (SLUG, "Tiny-Llama", REPO)
    assert (model.source, model.license) == (LocalModel.Source.HUB, "apache-2.0")
    assert Path(model.path) == models_dir / SLUG
    assert {path.name for path in Path(model.path).iterdir()} == KEPT
    assert visible(models_dir) == {SLUG}


def test_the_stages_are_told_with_how_far_along_they_are() -> None:
    told: list[tuple[str, float]] = []
    services.pull(repo_id=REPO, progress=lambda stage, share: told.append((stage, share)))

    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages[0] == "downloading config.json (1 kB)"
    assert stages[-2:] == ["downloading model.safetensors (98 kB)", "computing the digest"]
    assert all(0 <= share <= 1 for _, share in told)


def test_pulling_again_fetches_nothing(hub_server: HubServer) -> None:
    first = services.pull(repo_id=REPO)
    hub_server.requests.clear()

    second = services.pull(repo_id=REPO)

    assert second == services.Pulled(first.model, downloaded=False)
    assert hub_server.requests == []


def test_a_name_of_its_own_makes_a_copy_of_its_own(models_dir: Path) -> None:
    services.pull(repo_id=REPO)
    copy = services.pull(repo_id=REPO, slug="copy")

    assert copy.downloaded
    assert visible(models_dir) == {SLUG, "copy"}
    assert not services.pull(repo_id=REPO, slug="copy").downloaded


def test_a_model_whose_files_are_gone_is_fetched_again(models_dir: Path) -> None:
    model = services.pull(repo_id=REPO).model
    shutil.rmtree(model.path)

    again = services.pull(repo_id=REPO)

    assert again == services.Pulled(model, downloaded=True)
    assert {path.name for path in Path(model.path).iterdir()} == KEPT


@pytest.mark.parametrize("slug", ["../up", "a/b", "", "A", ".x", "a:b"])
def test_a_name_that_is_no_name_never_becomes_a_path(
    slug: str, models_dir: Path, hub_server: HubServer
) -> None:
    if not slug:
        assert services.pull(repo_id=REPO, slug=slug).model.slug == SLUG
        return
    with pytest.raises(InvalidName):
        services.pull(repo_id=REPO, slug=slug)
    assert hub_server.requests == []
    assert list(models_dir.iterdir()) == []


def test_text_that_is_no_repository_never_becomes_a_path(models_dir: Path) -> None:
    with pytest.raises(errors.InvalidRepoId):
        services.pull(repo_id="../../etc")
    assert list(models_dir.iterdir()) == []


def test_a_repository_that_is_not_there_leaves_nothing(models_dir: Path) -> None:
    with pytest.raises(errors.RepoNotFound):
        services.pull(repo_id="acme/nothing")
    assert visible(models_dir) == set()


def test_another_model_keeps_its_name(hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add("other/tiny-llama", tiny_files)
    services.pull(repo_id=REPO)

    with pytest.raises(NameTaken, match="--name NAME"):
        services.pull(repo_id="other/tiny-llama")

    assert services.pull(repo_id="other/tiny-llama", slug="theirs").downloaded
    assert LocalModel.objects.count() == 2


def test_an_unregistered_folder_in_the_place_is_left_alone(models_dir: Path) -> None:
    (models_dir / SLUG).mkdir()
    (models_dir / SLUG / "mine.txt").write_text("keep")

    with pytest.raises(NameTaken, match="mlx-hub import"):
        services.pull(repo_id=REPO)

    assert (models_dir / SLUG / "mine.txt").read_text() == "keep"


def test_a_disk_without_room_is_refused_before_a_byte_is_fetched(
    hub_server: HubServer, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    needed = sum(len(hub_server.repos[REPO].files[name]) for name in KEPT)
    monkeypatch.setattr(services, "FREE_FLOOR_BYTES", 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 999))
    with pytest.raises(errors.NotEnoughDisk, match="Make room"):
        services.pull(repo_id=REPO)
    assert hub_server.fetched() == []
    assert visible(models_dir) == set()

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed + 1000))
    assert services.pull(repo_id=REPO).downloaded


def test_an_interrupted_pull_shows_no_model_and_goes_on_later(
    models_dir: Path, hub_server: HubServer
) -> None:
    def interrupt(stage: str, share: float) -> None:
        if "safetensors" in stage and share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.pull(repo_id=REPO, progress=interrupt)
    assert not LocalModel.objects.exists()
    assert visible(models_dir) == {f".{SLUG}.partial"}
    landing.settle_all()  # as a start of the hub does
    hub_server.served.clear()

    services.pull(repo_id=REPO)

    assert [name for name, _ in hub_server.served] == ["model.safetensors"]
    assert hub_server.starts("model.safetensors")[0] > 40_000
    assert visible(models_dir) == {SLUG}


def test_an_interrupted_registration_keeps_the_download(
    models_dir: Path, hub_server: HubServer
) -> None:
    def interrupt(stage: str, share: float) -> None:
        if stage == "computing the digest":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.pull(repo_id=REPO, progress=interrupt)
    hub_server.served.clear()

    assert services.pull(repo_id=REPO).downloaded
    assert hub_server.served == []


def test_a_row_that_cannot_be_written_leaves_the_download_where_it_was(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise NameTaken("taken in the meantime")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "_enter", fail)
        with pytest.raises(NameTaken):
            services.pull(repo_id=REPO)

    assert visible(models_dir) == {f".{SLUG}.partial"}
    assert not LocalModel.objects.exists()


def test_files_that_are_no_model_after_all_are_removed(
    models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    hub_server.add("acme/wrong", tiny_files | {"config.json": b'{"hello": "world"}'})

    with pytest.raises(ModelFormatError, match="model_type"):
        services.pull(repo_id="acme/wrong")

    assert visible(models_dir) == set()


def test_a_pulled_model_can_be_deleted_with_its_files(models_dir: Path) -> None:
    registry.delete_model(model=services.pull(repo_id=REPO).model)

    assert visible(models_dir) == set()


def test_a_pulled_model_loads_and_computes() -> None:
    from apps.models.runtime.loading import load

    loaded = load(Path(services.pull(repo_id=REPO).model.path), prepare())

    assert loaded.config["model_type"] == "llama"
    assert loaded.weights_bytes > 0
