"""What a hub has to hold after its processes were killed again and again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KERNELS = "mlx"
"""Where MLX keeps what it compiled, in the folder for temporary files."""

_WRONG = {
    "answers that are neither whole nor say why": (
        "select id, state from playground_message where role = 'assistant' and not "
        "(state in ('complete', 'stopped') or (state in ('interrupted', 'failed') and error != ''))"
    ),
    "questions without their one answer": (
        "select q.id, count(a.id) from playground_message q left join playground_message a "
        "on a.parent_id = q.id where q.role = 'user' group by q.id having count(a.id) != 1"
    ),
    "figures of a training that are there twice": (
        "select job_id, name, step, count(*) from training_metric group by 1, 2, 3 "
        "having count(*) > 1"
    ),
}


@dataclass
class Ledger:
    """What visitors tried to write, and what the hub acknowledged."""

    asked: set[str] = field(default_factory=set)
    """Questions, each of them like no other."""
    conversations: set[str] = field(default_factory=set)
    """Those that were acknowledged."""
    responses: set[str] = field(default_factory=set)
    """Ids of responses that the hub said it keeps."""
    ordered: set[str] = field(default_factory=set)
    """Names of trainings."""
    trainings: dict[int, str] = field(default_factory=dict)
    """Those that were acknowledged, by id."""

    @property
    def counts(self) -> Counter[str]:
        """Of the writes that were acknowledged."""
        return Counter(
            conversations=len(self.conversations),
            responses=len(self.responses),
            trainings=len(self.trainings),
        )


def unkept(home: Path, kept: Ledger) -> Iterator[str]:
    """What was acknowledged and is not there, or was asked once and is there twice."""
    questions = Counter(
        content for (content,) in rows_of(home,
            "select content from playground_message where role = 'user'"
        )
    )  # fmt: skip
    for question in kept.asked:
        if (count := questions[question]) > 1 or (question in kept.conversations and not count):
            yield f"{question!r} is there {count} times"
    responses = {key for (key,) in rows_of(home, "select id from responses_storedresponse")}
    for key in kept.responses - responses:
        yield f"the response {key} is gone"
    jobs = Counter(name for (name,) in rows_of(home, "select name from training_trainingjob"))
    for name in kept.ordered:
        if (count := jobs[name]) > 1 or (name in kept.trainings.values() and not count):
            yield f"the training {name!r} is there {count} times"


def wrong_rows(home: Path) -> Iterator[str]:
    """What the databases say of themselves, and rows that contradict each other."""
    for name in ("hub.sqlite3", "queue.sqlite3"):
        with closing(sqlite3.connect(home / name)) as database:
            for check in ("integrity_check", "foreign_key_check"):
                found = database.execute(f"PRAGMA {check}").fetchall()
                if found not in ([], [("ok",)]):
                    yield f"{name}: {check} says {found[:3]}"
    for meaning, query in _WRONG.items():
        if found := rows_of(home, query):
            yield f"{meaning}: {found[:3]}"


def left_over(home: Path) -> Iterator[str]:
    """Files that were half written, or belong to no row."""
    if left := {path.name for path in (home / "tmp").iterdir()} - {KERNELS}:
        yield f"left over in the folder for temporary files: {sorted(left)}"
    for folder in (home, *(home / name for name in ("run", "models", "adapters", "runs"))):
        for path in folder.iterdir():
            if path.suffix in (".tmp", ".partial"):
                yield f"left over: {path.relative_to(home)}"
    landed = {path.name for path in (home / "adapters").iterdir() if path.is_dir()}
    known = {Path(path).name for (path,) in rows_of(home, "select path from models_adapter")}
    if landed != known:
        yield f"adapters without a row or a folder: {sorted(landed ^ known)}"


def rows_of(home: Path, query: str, *values: str | int) -> list[tuple[Any, ...]]:
    """From the hub's database."""
    with closing(sqlite3.connect(home / "hub.sqlite3", timeout=20)) as database:
        return database.execute(query, values).fetchall()
