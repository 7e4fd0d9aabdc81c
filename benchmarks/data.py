"""A million rows: import with validation, statistics, near duplicates; then pages of them.

Everything runs in this process, so its peak of resident memory is that of the work. The
table's addresses are timed as the server answers them, database and middleware included.
"""

from __future__ import annotations

import json
import os
import random
import resource
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from apps.datasets.models import DatasetJob

ROWS = int(os.environ.get("DATA_ROWS", "1000000"))
ROW_CHARACTERS = 1_000
WORK_LIMIT = 600.0
"""Seconds for all of the work."""
MEMORY_LIMIT = 2.0
"""GB, resident."""
PAGE_LIMIT = 0.2
"""Seconds."""

ASKED = {
    "first page": "/data/rows/",
    "last page": "/data/rows/?page=20000",
    "problem filter": "/data/rows/?problem=DUPLICATE",
    "longest first": "/data/rows/?sort=-chars",
    "search, frequent word": "/data/rows/?q=planet",
    "search, no match": "/data/rows/?q=no-such-word-at-all",
}

_WORDS = [
    "planet",
    "river",
    "engine",
    "signal",
    "paper",
    "garden",
    "window",
    "letter",
    "bridge",
    "copper",
    "silver",
    "market",
    "winter",
    "summer",
    "travel",
    "number",
    "answer",
    "reason",
    "method",
    "result",
    "pattern",
    "object",
    "vector",
    "matrix",
    "tensor",
]


def data_figures() -> Iterable[Figure]:
    """The work in seconds, its peak of memory, and each page."""
    with _hub() as home:
        source = home / "rows.jsonl"
        _write_rows(source)
        total = 0.0
        for name, seconds in _work(source):
            total += seconds
            yield Figure(f"{ROWS:,} rows: {name}", seconds, WORK_LIMIT, "s", at_most=1.0)
        yield Figure(f"{ROWS:,} rows: all of it", total, WORK_LIMIT, "s", at_most=1.0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        yield Figure("peak memory", peak, MEMORY_LIMIT, "GB", at_most=1.0)
        yield from _pages()


def _work(source: Path) -> Iterator[tuple[str, float]]:
    from apps.datasets.models import Dataset
    from apps.datasets.services import order, order_import

    yield "import and validation", _seconds(order_import(path=source, name="rows"))
    version = Dataset.objects.named("rows").version(None)
    yield "near duplicates", _seconds(order(version=version, kind="near", plan={}))
    duplicates = {"problems": 8192 | 32768}
    yield "removal of duplicates", _seconds(order(version=version, kind="drop", plan=duplicates))


def _seconds(job: DatasetJob) -> float:
    from apps.datasets.running import run

    begun = time.perf_counter()
    run(job, stops=threading.Event())
    if job.error:
        raise RuntimeError(job.error)
    return time.perf_counter() - begun


def _pages() -> Iterator[Figure]:
    from django.test import Client

    client = Client(headers={"host": "127.0.0.1"})
    client.get("/healthz/ready")  # as whatever starts a hub asks, before it has users
    begun = time.perf_counter()
    assert client.get(ASKED["first page"]).status_code == 200
    yield Figure(
        "first page, asked first", time.perf_counter() - begun, PAGE_LIMIT, "s", at_most=1.0
    )
    for name, url in ASKED.items():
        client.get(url)
        begun = time.perf_counter()
        answer = client.get(url)
        assert answer.status_code == 200, url
        yield Figure(name, time.perf_counter() - begun, PAGE_LIMIT, "s", at_most=1.0)


def _write_rows(path: Path) -> None:
    """Rows of some thousand characters; one in twenty is a repetition, one nearly so."""
    chance = random.Random(0)
    earlier: list[str] = []
    with path.open("w") as file:
        for number in range(ROWS):
            words = " ".join(chance.choices(_WORDS, k=ROW_CHARACTERS // 7))
            if earlier and number % 20 == 0:
                words = chance.choice(earlier) + (" and more" if number % 40 else "")
            elif len(earlier) < 1_000:
                earlier.append(words)
            row = {"prompt": f"Question {number % 5_000}?", "completion": words}
            file.write(json.dumps(row) + "\n")


@contextmanager
def _hub() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlx-hub-data-") as home:
        os.environ["MLXHUB_HOME"] = home
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        yield Path(home)
