"""The database's schema: what this version lacks, and a copy before it is changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import database
from mlxhub_site.upkeep.backup import backups_dir
from mlxhub_site.upkeep.contents import DATABASE
from mlxhub_site.upkeep.errors import UpkeepError, UpkeepRefused

KEPT = 5
"""Copies from before migrations; older ones are removed."""

PREFIX = "before-migration-"


def require_database() -> None:
    """Raises DatabaseError where it can't be read, or nothing was ever made in it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")


def newer_than_this(applied: Iterable[str]) -> list[str]:
    """Those of the migrations `app.name` that only a newer version can have made.

    What an app made that is no longer part of the hub does no harm.
    """
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = set(loader.disk_migrations or ())
    apps = {app for app, _ in known}
    pairs = (tuple(name.split(".", 1)) for name in applied)
    return sorted(".".join(pair) for pair in pairs if pair[0] in apps and pair not in known)


def pending() -> list[str]:
    """`app.name` of the migrations that the database lacks, in their order. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(hub: HubSettings) -> Path | None:
    """Bring the database up to this version; the copy made before, where there was need of one.

    Raises UpkeepError where it is a newer version's or can't be copied; DatabaseError.
    """
    applied = MigrationExecutor(connection).loader.applied_migrations or {}
    if newer := newer_than_this(f"{app}.{name}" for app, name in applied):
        raise UpkeepRefused(
            f"The database is a newer version's: it has {newer[0]}, which this one does not know. "
            "Install the newer version again, or restore a backup from before it."
        )
    kept = _copied(hub) if applied and pending() and not hub.database_url else None
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise UpkeepError(
            f"The database can't be brought up to this version: {error}. "
            + (f"Its copy from before is {kept}." if kept else "It is as it was.")
        ) from error
    return kept


def _copied(hub: HubSettings) -> Path:
    folder = backups_dir(hub)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy = folder / f"{PREFIX}{datetime.now(UTC):%Y-%m-%d-%H%M%S-%f}.sqlite3"
    database.copy(hub.data_dir / DATABASE, copy)
    for old in sorted(folder.glob(f"{PREFIX}*.sqlite3"))[:-KEPT]:
        old.unlink()
    return copy
