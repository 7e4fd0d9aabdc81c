"""A data folder with a little of everything, and no Django."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.settings import HUB


def hub_at(home: Path) -> HubSettings:
    (home / "run").mkdir(parents=True, exist_ok=True)
    return HUB.model_copy(update={"home": home, "database_url": ""})


def contents_of(home: Path) -> dict[str, bytes]:
    """Every file of a data folder, but the locks, the backups and the database's own files."""
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.relative_to(home).parts[0] not in ("run", "backups")
    }


def rows(home: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home / "hub.sqlite3")) as database:
        return database.execute(query).fetchall()


def fill(home: Path) -> None:
    """A hub's folder as its database, two of its models, a dataset, an adapter and a run."""
    for name, content in {
        "datasets/abc/train.jsonl": b'{"prompt": "a"}\n' * 200,
        "adapters/training-1/adapters.safetensors": bytes(range(256)) * 40,
        "runs/1/config.json": b"{}",
        "runs/1/checkpoints/10/state.safetensors": b"state",
        "models/tiny/config.json": b"{}",
        "models/.tiny.lock": b"",
        "secret_key": b"a secret",
        "queue.sqlite3": b"tasks",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    with closing(sqlite3.connect(home / "hub.sqlite3")) as database, database:
        database.executescript(
            """
            PRAGMA journal_mode=WAL;
            CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT);
            INSERT INTO django_migrations (app, name) VALUES ('models', '0001_initial');
            CREATE TABLE django_session (session_key TEXT);
            INSERT INTO django_session VALUES ('signed in');
            CREATE TABLE chat (id INTEGER PRIMARY KEY, text TEXT);
            INSERT INTO chat (text) VALUES ('Hello');
            CREATE TABLE models_localmodel
                (slug TEXT, repo_id TEXT, path TEXT, digest TEXT, size_bytes INTEGER);
            """
        )
        database.executemany(
            "INSERT INTO models_localmodel VALUES (?, ?, ?, ?, ?)",
            [
                ("tiny", "acme/tiny", f"{home}/models/tiny", "d1", 2),
                ("own", "", "/elsewhere/own", "d2", 3),
            ],
        )


@pytest.fixture
def hub(tmp_path: Path) -> HubSettings:
    """A hub with data in it."""
    settings = hub_at(tmp_path / "home")
    fill(settings.data_dir)
    return settings


@pytest.fixture
def other(tmp_path: Path) -> HubSettings:
    """Another machine's data folder, with nothing in it."""
    return hub_at(tmp_path / "other")
