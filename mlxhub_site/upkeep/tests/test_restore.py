"""A restore is whole or has not been, whatever the archive and whenever it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import swapping
from mlxhub_site.upkeep.backup import back_up, backups_dir
from mlxhub_site.upkeep.contents import Choice
from mlxhub_site.upkeep.errors import BadArchive, UpkeepRefused
from mlxhub_site.upkeep.manifest import Manifest
from mlxhub_site.upkeep.restore import absent, restore
from mlxhub_site.upkeep.tests.conftest import contents_of, fill, rows


@pytest.fixture
def archive(hub: HubSettings, tmp_path: Path) -> Path:
    place = tmp_path / "backup.tar.zst"
    back_up(hub=hub, to=place, choice=Choice(models=True, checkpoints=True, secret_key=True))
    return place


def put_back(hub: HubSettings, source: Path, *, replace: bool = False) -> Manifest:
    return restore(hub=hub, source=source, newer_than_this=lambda names: [], replace=replace)


def but_the_database(contents: dict[str, bytes]) -> dict[str, bytes]:
    left_out = ("hub.sqlite3", "queue.sqlite3", "models/.tiny.lock")
    return {name: data for name, data in contents.items() if not name.startswith(left_out)}


def test_an_empty_folder_becomes_the_hub_that_was_backed_up(
    hub: HubSettings, other: HubSettings, archive: Path
) -> None:
    put_back(other, archive)
    assert but_the_database(contents_of(other.data_dir)) == but_the_database(
        contents_of(hub.data_dir)
    )
    assert rows(other.data_dir, "SELECT text FROM chat") == [("Hello",)]
    assert (other.data_dir / "secret_key").stat().st_mode & 0o777 == 0o600
    assert not list(backups_dir(other).iterdir())


def test_paths_in_the_database_lead_to_the_new_folder(other: HubSettings, archive: Path) -> None:
    put_back(other, archive)
    paths = dict(rows(other.data_dir, "SELECT slug, path FROM models_localmodel"))
    assert paths == {"tiny": f"{other.data_dir}/models/tiny", "own": "/elsewhere/own"}


def test_models_that_are_only_named_are_told(
    hub: HubSettings, other: HubSettings, tmp_path: Path
) -> None:
    back_up(hub=hub, to=tmp_path / "b", choice=Choice())
    manifest = put_back(other, tmp_path / "b")
    missing = absent(other.data_dir, manifest)
    assert [model.slug for model in missing] == ["own", "tiny"]
    assert not any(model.path.startswith(f"{hub.data_dir}/") for model in missing)
    assert any(model.path.startswith(f"{other.data_dir}/") for model in missing)


def test_a_hub_that_is_there_stays_unless_told(hub: HubSettings, archive: Path) -> None:
    before = contents_of(hub.data_dir)
    with pytest.raises(UpkeepRefused, match="holds a hub already"):
        put_back(hub, archive)
    assert contents_of(hub.data_dir) == before


def test_what_is_replaced_is_put_aside(other: HubSettings, archive: Path) -> None:
    fill(other.data_dir)
    (other.data_dir / "datasets" / "abc" / "train.jsonl").write_text("mine")
    (other.data_dir / "runs" / "7").mkdir()
    put_back(other, archive, replace=True)
    [kept] = backups_dir(other).iterdir()
    assert (kept / "datasets" / "abc" / "train.jsonl").read_text() == "mine"
    assert (kept / "queue.sqlite3").read_bytes() == b"tasks"
    assert not (other.data_dir / "queue.sqlite3").exists()
    assert not (other.data_dir / "runs" / "7").exists()
    assert (other.data_dir / "datasets" / "abc" / "train.jsonl").read_text() != "mine"


def test_a_backup_of_a_newer_version_is_refused(other: HubSettings, archive: Path) -> None:
    with pytest.raises(UpkeepRefused, match="newer version of the hub"):
        restore(hub=other, source=archive, newer_than_this=lambda names: names, replace=False)
    assert contents_of(other.data_dir) == {}


def test_a_running_hub_is_not_touched(hub: HubSettings, archive: Path) -> None:
    from mlxhub_site.upkeep.locks import alone

    with (
        alone(hub.data_dir / "run", doing="a test"),
        pytest.raises(UpkeepRefused, match="already runs"),
    ):
        put_back(hub, archive, replace=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_archive_cut_short_changes_nothing(
    other: HubSettings, archive: Path, share: float
) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadArchive):
        put_back(other, archive)
    assert contents_of(other.data_dir) == {}


def test_an_archive_with_a_flipped_bit_changes_nothing(other: HubSettings, archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 4
    archive.write_bytes(bytes(data))
    with pytest.raises(BadArchive):
        put_back(other, archive)
    assert contents_of(other.data_dir) == {}


_RENAMES = """
import os, pathlib, signal, sys
real, left = pathlib.Path.rename, int(sys.argv[3])
def rename(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(self, target)
pathlib.Path.rename = rename
from mlxhub_site.upkeep.tests.conftest import hub_at
from mlxhub_site.upkeep.restore import restore
hub, source = hub_at(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
restore(hub=hub, source=source, newer_than_this=lambda names: [], replace=True)
"""


@pytest.mark.parametrize("renames", [0, 1, 4, 9])
def test_a_kill_in_the_middle_of_the_exchange_leaves_the_old_state(
    other: HubSettings, archive: Path, renames: int
) -> None:
    fill(other.data_dir)
    (other.data_dir / "datasets" / "abc" / "train.jsonl").write_text("mine")
    before = contents_of(other.data_dir)
    command = [sys.executable, "-c", _RENAMES, str(other.data_dir), str(archive), str(renames)]
    killed = subprocess.run(command, capture_output=True, check=False, timeout=120, env=os.environ)
    assert killed.returncode == -9, killed.stderr.decode()
    assert swapping.undo(other.data_dir) is (renames > 0)
    assert contents_of(other.data_dir) == before
    put_back(other, archive, replace=True)
    assert rows(other.data_dir, "SELECT text FROM chat") == [("Hello",)]


def test_an_exchange_can_be_taken_back_at_any_rename_and_so_can_that(tmp_path: Path) -> None:
    for steps in range(7):
        for further in (0, 1, 3):
            home = tmp_path / f"{steps}-{further}"
            _two_states(home)
            before = {"a/old": b"a", "b/old": b"b"}
            if _interrupted(steps, lambda home=home: _swap(home)):
                assert contents_of(home) == {"b/new": b"b", "c/new": b"c"}
                assert (home / "backups" / "kept" / "b" / "old").is_file()
                continue
            _interrupted(further, lambda home=home: swapping.undo(home))
            swapping.undo(home)
            assert contents_of(home) == before, (steps, further)


def _two_states(home: Path) -> None:
    new = swapping.staging(home)
    for name in ("a", "b"):
        (home / name).mkdir(parents=True)
        (home / name / "old").write_text(name)
    for name in ("b", "c"):
        (new / name).mkdir()
        (new / name / "new").write_text(name)


def _swap(home: Path) -> None:
    swapping.swap(home, ["a", "b", "c"], keep=home / "backups" / "kept")


def _interrupted(steps: int, act: Callable[[], object]) -> bool:
    """Whether ``act`` came to its end before its ``steps``-th rename."""
    real, left = Path.rename, steps

    class Killed(BaseException):
        pass

    def rename(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return real(self, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        try:
            act()
        except Killed:
            return False
    return True
