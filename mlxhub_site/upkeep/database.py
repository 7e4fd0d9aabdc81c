"""Copies of the SQLite database, taken while others write to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mlxhub_site.upkeep.errors import UpkeepError
from mlxhub_site.upkeep.manifest import ModelReference

PATIENCE = 30.0
"""Seconds to wait for a writer."""

PATHS = (
    ("models_localmodel", "path"),
    ("models_adapter", "path"),
    ("training_trainingjob", "data"),
)
"""Columns that hold paths, which begin with the data folder where the files are the hub's."""

_MAGIC = b"SQLite format 3\0"

PERSONAL = ("django_session",)
"""Tables that a copy has empty: a backup signs nobody in."""


def copy(source: Path, target: Path) -> None:
    """One consistent state of ``source``, whatever is written to it meanwhile.

    https://www.sqlite.org/backup.html. Raises UpkeepError.
    """
    target.touch(mode=0o600)
    try:
        with (
            closing(_read_only(source)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            # One file, which may be read where nothing can be written beside it.
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise UpkeepError(
            f"{source} can't be copied: {error}. Check that it can be read, and that the disk of "
            f"{target.parent} has room."
        ) from error


def is_database(path: Path) -> bool:
    """By its first bytes: https://www.sqlite.org/fileformat.html. Raises FileNotFoundError."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def sign_out(path: Path) -> None:
    """Empty the tables that are nobody's business in a copy."""
    with closing(sqlite3.connect(path)) as database, database:
        for table in PERSONAL:
            if _has(database, table):
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - a name from above


def check(path: Path) -> None:
    """Raises UpkeepError where it is damaged, or refers to what it does not hold."""
    try:
        with closing(_read_only(path)) as database:
            [result] = database.execute("PRAGMA quick_check(1)").fetchone()
            dangling = database.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise UpkeepError(f"The database can't be read: {error}.") from error
    if result != "ok":
        raise UpkeepError(f"The database is damaged: {result}.")
    if dangling is not None:
        raise UpkeepError(f"A row of {dangling[0]} in the database refers to one that is gone.")


def migrations(path: Path) -> list[str]:
    """`app.name` of those that it has."""
    with closing(_read_only(path)) as database:
        rows = database.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    return [f"{app}.{name}" for app, name in rows]


def models(path: Path) -> Iterator[ModelReference]:
    """Those in its registry."""
    with closing(_read_only(path)) as database:
        rows = database.execute(
            "SELECT slug, repo_id, path, digest, size_bytes FROM models_localmodel ORDER BY slug"
        ).fetchall()
    for slug, repo_id, place, digest, size in rows:
        yield ModelReference(slug=slug, repo_id=repo_id, path=place, digest=digest, size_bytes=size)


def move_paths(path: Path, *, old: str, new: str) -> None:
    """Have what lay in the data folder ``old`` lie in ``new``."""
    with closing(sqlite3.connect(path)) as database, database:
        for table, column in PATHS:
            if _has(database, table):
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )


def _read_only(path: Path) -> sqlite3.Connection:
    """Whatever a folder's name holds: "?" and "%" mean something in the address."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)


def _has(database: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return database.execute(query, (table,)).fetchone() is not None
