"""One archive of a hub's data, made while the hub runs."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import SecretStr

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import database
from mlxhub_site.upkeep.archive import written
from mlxhub_site.upkeep.contents import DATABASE, Choice, files_of
from mlxhub_site.upkeep.errors import UpkeepRefused
from mlxhub_site.upkeep.manifest import Manifest

FREE_FLOOR_BYTES = 1024**3
"""What a backup leaves free on its disk."""

SUFFIX = ".tar.zst"
STAGING = ".mlx-hub-backup-"

Tell = Callable[[str, float], None]


def backups_dir(hub: HubSettings) -> Path:
    """Where backups are written unless somebody says otherwise."""
    return hub.data_dir / "backups"


def default_place(hub: HubSettings, now: datetime) -> Path:
    """A name that sorts by time."""
    return backups_dir(hub) / f"mlx-hub-{now:%Y-%m-%d-%H%M%S}{SUFFIX}"


def back_up(
    *, hub: HubSettings, to: Path, choice: Choice, tell: Tell = lambda doing, fraction: None
) -> Manifest:
    """Write the archive ``to``; it appears when it is whole. Raises UpkeepError, OSError."""
    source = _database_file(hub)
    if to.exists():
        raise UpkeepRefused(f"{to} exists already. Choose another name.")
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        _one_at_a_time(hub),
        tempfile.TemporaryDirectory(dir=to.parent, prefix=STAGING) as folder,
    ):
        tell("copying the database", 0.0)
        copy = Path(folder) / DATABASE
        database.copy(source, copy)
        database.sign_out(copy)
        archive = Path(folder) / to.name
        manifest = _write(hub, copy, archive, choice, tell)
        archive.rename(to)
    return manifest


@contextmanager
def _one_at_a_time(hub: HubSettings) -> Iterator[None]:
    """Alone, and without what a backup that was killed left behind. Raises UpkeepRefused."""
    with (hub.data_dir / "run" / "backup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UpkeepRefused("Another backup is being made. Try again after it.") from error
        for left in backups_dir(hub).glob(f"{STAGING}*"):
            shutil.rmtree(left)
        yield


def _write(hub: HubSettings, copy: Path, to: Path, choice: Choice, tell: Tell) -> Manifest:
    found = list(files_of(hub.data_dir, choice))
    total = sum(file.size for file in found) + copy.stat().st_size
    _require_room(to.parent, total)
    done = 0

    def passed(count: int) -> None:
        nonlocal done
        done += count
        tell("writing the archive", done / max(total, 1))

    with written(to) as archive:
        archive.add(DATABASE, copy, passed=passed)
        for file in found:
            # One that was deleted since is like a model that only the registry knows.
            with suppress(FileNotFoundError):
                archive.add(file.name, _still(file.path, copy.parent), passed=passed)
        manifest = Manifest(
            made_at=datetime.now(UTC),
            version=version("mlx-model-hub"),
            home=str(hub.data_dir),
            migrations=database.migrations(copy),
            settings=_public(hub),
            models=list(database.models(copy)),
            files=dict(archive.facts),
        )
        archive.finish(manifest)
    return manifest


def _still(path: Path, folder: Path) -> Path:
    """A file that nobody writes to meanwhile: of a database, such as MLflow's, its copy."""
    if not database.is_database(path):
        return path
    copy = folder / "other.sqlite3"
    copy.unlink(missing_ok=True)
    database.copy(path, copy)
    return copy


def _database_file(hub: HubSettings) -> Path:
    """Raises UpkeepRefused where the database is no file of the data folder."""
    if hub.database_url:
        raise UpkeepRefused(
            "The database is elsewhere (MLXHUB_DATABASE_URL). Back it up with its own tools, such "
            "as pg_dump, and copy the data folder beside it."
        )
    path = hub.data_dir / DATABASE
    if not path.is_file():
        raise UpkeepRefused(f"There is no hub in {hub.data_dir} yet: nothing to back up.")
    return path


def _require_room(folder: Path, total: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < total + FREE_FLOOR_BYTES:
        raise UpkeepRefused(
            f"The backup may take {total / 1e9:.1f} GB, and the disk of {folder} has "
            f"{free / 1e9:.1f} GB free, of which {FREE_FLOOR_BYTES / 1e9:.1f} are to stay. Name "
            "another disk with --to."
        )


def _public(hub: HubSettings) -> dict[str, str]:
    """The configuration, without secrets and without addresses that may hold one."""
    return {
        f"MLXHUB_{name.upper()}": str(value)
        for name, value in hub
        if value is not None
        and not isinstance(value, SecretStr)
        and not name.endswith(("_url", "_uri", "_endpoint"))
    }
