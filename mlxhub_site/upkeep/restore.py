"""A backup put back: verified whole, then exchanged for what is there, at once or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import archive, database
from mlxhub_site.upkeep.backup import FREE_FLOOR_BYTES, backups_dir
from mlxhub_site.upkeep.contents import DATABASE, FILES, FOLDERS, SECRET_KEY
from mlxhub_site.upkeep.errors import BadArchive, UpkeepRefused
from mlxhub_site.upkeep.locks import alone
from mlxhub_site.upkeep.manifest import Manifest, ModelReference
from mlxhub_site.upkeep.swapping import staging, swap, undo

QUEUE = "queue.sqlite3"

Tell = Callable[[str, float], None]


def restore(
    *,
    hub: HubSettings,
    source: Path,
    newer_than_this: Callable[[list[str]], list[str]],
    replace: bool,
    tell: Tell = lambda doing, fraction: None,
) -> Manifest:
    """Make the data folder what the archive says. Raises UpkeepError, OSError.

    ``replace``: also where the folder holds a hub already, which then lies in backups/.
    Models that the archive only names stay as they are. ``newer_than_this`` tells which
    migrations this version does not know.
    """
    home = hub.data_dir
    if hub.database_url:
        raise UpkeepRefused(
            "The database is elsewhere (MLXHUB_DATABASE_URL), and a backup holds an SQLite one. "
            "Leave that setting out to restore into the data folder."
        )
    with alone(home / "run", doing="restoring a backup"):
        undo(home)
        if not replace and (there := _in_use(home)):
            raise UpkeepRefused(
                f"{home} holds a hub already ({there}). --replace puts it aside into "
                f"{backups_dir(hub)}; or set MLXHUB_HOME to a new folder."
            )
        size = source.stat().st_size
        room = shutil.disk_usage(home).free - FREE_FLOOR_BYTES
        manifest = archive.verify(source, room=room, passed=_share("verifying", size, tell))
        _require_ours(manifest, newer_than_this)
        new = staging(home)
        try:
            archive.extract(source, new, manifest, passed=_share("restoring", size, tell))
            database.check(new / DATABASE)
            database.move_paths(new / DATABASE, old=manifest.home, new=str(home))
        except BaseException:
            undo(home)  # nothing has moved yet: it removes what is staged
            raise
        kept = backups_dir(hub) / f"replaced-{datetime.now(UTC):%Y-%m-%d-%H%M%S-%f}"
        swap(home, _names(manifest), keep=kept)
        with suppress(OSError):
            kept.rmdir()  # where there was nothing to put aside
    return manifest


def absent(home: Path, manifest: Manifest) -> list[ModelReference]:
    """Models that the registry now knows and whose files are not where its rows say.

    Their paths are those of the restored rows, not of the machine that made the backup.
    """
    placed = ((model, _place(home, manifest, model)) for model in manifest.models)
    return [
        model.model_copy(update={"path": str(place)})
        for model, place in placed
        if not place.is_dir()
    ]


def _place(home: Path, manifest: Manifest, model: ModelReference) -> Path:
    inside = model.path.removeprefix(f"{manifest.home}/")
    return Path(model.path) if inside == model.path else home / inside


def _share(doing: str, size: int, tell: Tell) -> archive.Passed:
    done = 0

    def passed(count: int) -> None:
        nonlocal done
        done += count
        tell(doing, done / max(size, 1))

    return passed


def _in_use(home: Path) -> str:
    """What speaks for a hub in the folder; empty: nothing does."""
    if (home / DATABASE).exists():
        return DATABASE
    return next(
        (name for name in FOLDERS if (home / name).is_dir() and any((home / name).iterdir())), ""
    )


def _require_ours(manifest: Manifest, newer_than_this: Callable[[list[str]], list[str]]) -> None:
    if DATABASE not in manifest.files:
        raise BadArchive("It holds no database: it is no backup of a hub.")
    if newer := newer_than_this(manifest.migrations):
        raise UpkeepRefused(
            f"The backup was made by a newer version of the hub ({manifest.version}), which "
            f"changed the database by {newer[0]}. Update this one first."
        )


def _names(manifest: Manifest) -> list[str]:
    """What is exchanged. The rows speak of datasets, adapters and runs, so these go together."""
    always = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
    always |= {QUEUE, f"{QUEUE}-wal", f"{QUEUE}-shm"} | set(FOLDERS) - {"models"}
    held = {name.partition("/")[0] for name in manifest.files}
    order = (*FILES, *FOLDERS)
    optional = held & {SECRET_KEY, "models"}
    return sorted(always | optional, key=lambda name: (name not in order, name))
