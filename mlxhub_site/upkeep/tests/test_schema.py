"""The database is copied before it changes, and a newer one is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep import schema
from mlxhub_site.upkeep.backup import backups_dir
from mlxhub_site.upkeep.errors import UpkeepRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Management commands that were called, in place of their work."""
    called: list[str] = []
    monkeypatch.setattr(schema, "call_command", lambda name, **options: called.append(name))
    return called


def lacks_one() -> None:
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")


def copies(hub: HubSettings) -> list[Path]:
    return sorted(backups_dir(hub).glob(f"{schema.PREFIX}*"))


def test_nothing_is_copied_where_nothing_changes(hub: HubSettings, asked: list[str]) -> None:
    assert schema.pending() == []
    assert schema.migrate(hub) is None
    assert asked == ["migrate"]
    assert copies(hub) == []


def test_a_database_is_copied_before_it_is_changed(hub: HubSettings, asked: list[str]) -> None:
    lacks_one()
    assert schema.pending() == ["sessions.0001_initial"]
    kept = schema.migrate(hub)
    assert copies(hub) == [kept]
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("SELECT text FROM chat").fetchone() == ("Hello",)


def test_only_the_last_copies_are_kept(hub: HubSettings, asked: list[str]) -> None:
    lacks_one()
    made = [schema.migrate(hub) for _ in range(schema.KEPT + 2)]
    assert copies(hub) == made[2:]


def test_a_newer_versions_database_is_refused(hub: HubSettings, asked: list[str]) -> None:
    MigrationRecorder(connection).record_applied("models", "9999_from_the_future")
    with pytest.raises(UpkeepRefused, match=r"models\.9999_from_the_future"):
        schema.migrate(hub)
    assert asked == []


def test_what_an_app_made_that_is_gone_does_no_harm() -> None:
    assert schema.newer_than_this(["gone.0001_initial", "models.0001_initial"]) == []
    assert schema.newer_than_this(["models.9999_new"]) == ["models.9999_new"]
