"""A backup holds what it should, and one moment of it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import archive as format
from mlxhub_site.upkeep.backup import STAGING, back_up, backups_dir
from mlxhub_site.upkeep.contents import Choice
from mlxhub_site.upkeep.errors import UpkeepRefused
from mlxhub_site.upkeep.manifest import Manifest
from mlxhub_site.upkeep.tests.conftest import fill, hub_at

ROOM = 10**9


def backed_up(hub: HubSettings, to: Path, **choice: bool) -> Manifest:
    return back_up(hub=hub, to=to, choice=Choice(**choice))


def test_it_holds_data_by_default_and_models_by_name(hub: HubSettings, tmp_path: Path) -> None:
    manifest = backed_up(hub, tmp_path / "b")
    assert set(manifest.files) == {
        "hub.sqlite3",
        "datasets/abc/train.jsonl",
        "adapters/training-1/adapters.safetensors",
        "runs/1/config.json",
    }
    assert [(model.slug, model.digest) for model in manifest.models] == [
        ("own", "d2"),
        ("tiny", "d1"),
    ]
    assert manifest == format.verify(tmp_path / "b", room=ROOM)


def test_what_is_large_or_secret_comes_along_when_asked(hub: HubSettings, tmp_path: Path) -> None:
    manifest = backed_up(hub, tmp_path / "b", models=True, checkpoints=True, secret_key=True)
    assert {
        "models/tiny/config.json",
        "runs/1/checkpoints/10/state.safetensors",
        "secret_key",
    } <= set(manifest.files)
    assert not any(".lock" in name for name in manifest.files)


def test_only_its_owner_can_read_it_and_nothing_is_left_beside_it(
    hub: HubSettings, tmp_path: Path
) -> None:
    place = backups_dir(hub) / "b.tar.zst"
    backed_up(hub, place)
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_no_secret_is_in_the_configuration_that_it_tells(hub: HubSettings, tmp_path: Path) -> None:
    secret = {"hf_token": SecretStr("hf_secret"), "huey_url": "redis://:word@host"}
    manifest = backed_up(hub.model_copy(update=secret), tmp_path / "b")
    written = manifest.model_dump_json()
    assert "hf_secret" not in written
    assert "word" not in written


def test_a_link_is_not_followed_out_of_the_data_folder(hub: HubSettings, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("not the hub's")
    (hub.data_dir / "datasets" / "link").symlink_to(tmp_path / "private")
    assert "datasets/link" not in backed_up(hub, tmp_path / "b").files


def test_it_is_one_moment_of_a_database_that_is_written_to(
    hub: HubSettings, other: HubSettings, tmp_path: Path
) -> None:
    """Each transaction adds two rows: a copy that splits one would have an odd number."""
    enough, over = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(hub.data_dir / "hub.sqlite3", timeout=30)) as database:
            count = 0
            while not over.is_set():
                with database:
                    database.execute("INSERT INTO chat (text) VALUES ('question')")
                    database.execute("INSERT INTO chat (text) VALUES ('answer')")
                count += 1
                if count == 20:
                    enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert enough.wait(30)
        manifest = backed_up(hub, tmp_path / "b")
    finally:
        over.set()
        writer.join()
    other.data_dir.joinpath("new").mkdir()
    format.extract(tmp_path / "b", other.data_dir / "new", manifest)
    with closing(sqlite3.connect(other.data_dir / "new" / "hub.sqlite3")) as copy:
        [count] = copy.execute("SELECT count(*) FROM chat WHERE text != 'Hello'").fetchone()
        assert copy.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert count >= 40
    assert count % 2 == 0


def test_mlflows_database_is_copied_and_not_read_while_it_is_written(
    hub: HubSettings, tmp_path: Path
) -> None:
    store = hub.data_dir / "mlflow" / "mlflow.db"
    store.parent.mkdir()
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        with database:
            database.execute("CREATE TABLE runs (id TEXT)")
            database.execute("INSERT INTO runs VALUES ('only in the log yet')")
        manifest = backed_up(hub, tmp_path / "b")
    assert [name for name in manifest.files if "mlflow" in name] == ["mlflow/mlflow.db"]
    (tmp_path / "new").mkdir()
    format.extract(tmp_path / "b", tmp_path / "new", manifest)
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow" / "mlflow.db")) as copy:
        assert copy.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_folders_name_may_hold_what_means_something_in_an_address(tmp_path: Path) -> None:
    hub = hub_at(tmp_path / "50% of #1?mode=rw")
    fill(hub.data_dir)
    manifest = back_up(hub=hub, to=tmp_path / "a.tar.zst", choice=Choice())
    assert manifest.migrations == ["models.0001_initial"]


def test_a_file_is_not_overwritten(hub: HubSettings, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(UpkeepRefused, match="exists already"):
        backed_up(hub, tmp_path / "b")


def test_what_a_killed_backup_left_goes_with_the_next_one(hub: HubSettings) -> None:
    left = backups_dir(hub) / f"{STAGING}killed"
    left.mkdir(parents=True)
    (left / "hub.sqlite3").touch()
    backed_up(hub, backups_dir(hub) / "b")
    assert not left.exists()


def test_a_database_elsewhere_is_for_its_own_tools(hub: HubSettings, tmp_path: Path) -> None:
    elsewhere = hub.model_copy(update={"database_url": "postgres://host/hub"})
    with pytest.raises(UpkeepRefused, match="pg_dump"):
        backed_up(elsewhere, tmp_path / "b")


def test_an_empty_folder_has_nothing_to_back_up(other: HubSettings, tmp_path: Path) -> None:
    with pytest.raises(UpkeepRefused, match="nothing to back up"):
        backed_up(other, tmp_path / "b")


def test_any_tar_program_reads_it(hub: HubSettings, tmp_path: Path) -> None:
    import tarfile

    import zstandard

    long = hub.data_dir / "datasets" / ("d" * 120) / ("é" * 60) / "train.jsonl"
    long.parent.mkdir(parents=True)
    long.write_bytes(b"{}\n")
    manifest = backed_up(hub, tmp_path / "b")
    with (tmp_path / "b").open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file)
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            names = [member.name for member in tar]
    assert names == [*manifest.files, "manifest.json"]
    assert format.verify(tmp_path / "b", room=ROOM) == manifest
