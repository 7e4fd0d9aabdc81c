from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.models.disk import leftovers
from apps.models.disk.usage import disk_usage
from apps.models.errors import ModelInUse
from tests.registry import make_model

pytestmark = pytest.mark.django_db

PAGE = reverse("models:disk")


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    for folder in (settings.HUB.models_dir, settings.HUB.logs_dir):
        Path(folder).mkdir(parents=True)
    return Path(settings.HUB.models_dir)


def folder(path: Path, nbytes: int) -> Path:
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(bytes(nbytes))
    return path


def names() -> list[str]:
    return [each.name for each in leftovers.leftovers()]


def test_each_part_is_counted_and_together_they_are_all(
    models_dir: Path, settings: Settings
) -> None:
    make_model("own", path=str(folder(models_dir / "own", 1000)))
    make_model("elsewhere", size_bytes=5)
    folder(models_dir / "stray", 100)
    (settings.HUB.logs_dir / "web.log").write_bytes(bytes(30))
    (settings.HUB.logs_dir / "web.log.1").write_bytes(bytes(20))
    (settings.HUB.data_dir / "something").write_bytes(bytes(7))

    usage = disk_usage()

    sizes = {part.key: part.nbytes for part in usage.parts}
    assert (sizes["models"], sizes["leftovers"], sizes["logs"]) == (1000, 100, 50)
    assert sizes["other"] == 7
    assert usage.old_log_bytes == 20
    assert usage.own_bytes == 1157
    assert [item.slug for item in usage.elsewhere] == ["elsewhere"]
    assert usage.free_bytes > 0


def test_leftovers_are_folders_that_nobody_uses(models_dir: Path) -> None:
    make_model("own", path=str(folder(models_dir / "own", 1)))
    folder(models_dir / "stray", 1)
    folder(models_dir / ".half.partial", 1)
    folder(models_dir / ".gone.unregistered", 1)
    folder(models_dir / ".somebodys", 1)
    (models_dir / ".own.lock").touch()

    assert names() == [".gone.unregistered", ".half.partial", "stray"]


def test_what_somebody_works_on_is_not_left_over(models_dir: Path) -> None:
    folder(models_dir / ".half.partial", 1)
    with (models_dir / ".half.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert names() == []
        with pytest.raises(ModelInUse):
            leftovers.remove(".half.partial")


def test_what_became_a_model_while_the_lock_was_waited_for_stays(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(models_dir / "new", 1)
    lock = fcntl.flock

    def registered_meanwhile(file: int, operation: int) -> None:
        make_model("new", path=str(path))
        lock(file, operation)

    monkeypatch.setattr(leftovers.fcntl, "flock", registered_meanwhile)

    with pytest.raises(ModelInUse):
        leftovers.remove("new")

    assert (path / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["own", "../outside", "..", "", ".", "absent", "link"])
def test_nothing_but_a_leftover_can_be_removed(models_dir: Path, tmp_path: Path, name: str) -> None:
    make_model("own", path=str(folder(models_dir / "own", 1)))
    folder(models_dir.parent / "outside", 1)
    (models_dir / "link").symlink_to(models_dir.parent / "outside")

    with pytest.raises(ModelInUse):
        leftovers.remove(name)

    assert (models_dir / "own" / "model.safetensors").exists()
    assert (models_dir.parent / "outside" / "model.safetensors").exists()


def test_the_page_shows_it_and_removes_what_is_left_over(client: Client, models_dir: Path) -> None:
    folder(models_dir / "stray", 2048)
    page = client.get(PAGE).content.decode()
    assert "A folder that no model of the registry uses." in page

    client.post(reverse("models:disk_remove_leftover"), {"name": "stray"})

    assert not (models_dir / "stray").exists()
    assert "Nothing lies around unused." in client.get(PAGE).content.decode()


def test_old_logs_go_and_those_that_are_written_stay(client: Client, settings: Settings) -> None:
    for name in ("web.log", "web.log.1", "engine.log.2", "notes.txt"):
        (settings.HUB.logs_dir / name).write_text("x")

    client.post(reverse("models:disk_remove_logs"))

    assert {file.name for file in Path(settings.HUB.logs_dir).iterdir()} == {"web.log", "notes.txt"}
