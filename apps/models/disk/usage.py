"""What takes space: the hub's data folder by what it is for, and what it refers to elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.models.consequences import bytes_under
from apps.models.disk.leftovers import Leftover, leftovers
from apps.models.disk.logs import old_logs
from apps.models.models import Adapter, LocalModel


@dataclass(frozen=True)
class Item:
    """One thing on the disk that has a name of its own."""

    name: str
    nbytes: int
    slug: str = ""
    """Of the model whose page tells more; empty for others."""
    adapter: str = ""
    """The adapter's slug, where it is one."""
    place: str = ""
    """The folder, where it is not the hub's own."""


@dataclass(frozen=True)
class Part:
    """What one purpose takes."""

    key: str
    label: str
    nbytes: int
    note: str = ""
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Usage:
    """The whole of it."""

    parts: tuple[Part, ...]
    """Of the data folder; together they are all of it."""
    elsewhere: tuple[Item, ...]
    """Models that lie in other places: never deleted from here."""
    leftovers: tuple[Leftover, ...]
    """What nobody uses."""
    old_log_bytes: int
    """Of rotated log files, which may go."""
    free_bytes: int
    """On the data folder's disk."""
    disk_bytes: int

    @property
    def own_bytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


def disk_usage() -> Usage:
    """What takes space now. Walks the data folder."""
    hub = settings.HUB
    disk = shutil.disk_usage(hub.data_dir)
    own, elsewhere = _models()
    left = tuple(leftovers())
    parts = (
        Part("models", "Models", sum(item.nbytes for item in own), items=tuple(own)),
        _adapters(),
        Part(
            "leftovers",
            "Left over",
            sum(each.nbytes for each in left),
            "Folders of the models folder that no model and no work uses.",
        ),
        Part(
            "prompt_cache",
            "Prompt cache",
            bytes_under(hub.prompt_cache_dir),
            f"At most {hub.prompt_cache_disk_gb:g} GiB. The engine removes what was not used "
            "for the longest time.",
        ),
        Part("exports", "Exports", bytes_under(hub.exports_dir), str(hub.exports_dir)),
        Part("logs", "Logs", bytes_under(hub.logs_dir)),
        Part("database", "Database", _database_bytes(), "Conversations, usage, benchmarks, queue."),
    )
    known = sum(part.nbytes for part in parts)
    rest = max(0, bytes_under(hub.data_dir) - known)
    other = Part("other", "Other", rest, "Answers of Hugging Face, pages' static files, uploads.")
    return Usage(
        parts=(*parts, other),
        elsewhere=tuple(elsewhere),
        leftovers=left,
        old_log_bytes=sum(file.stat().st_size for file in old_logs()),
        free_bytes=disk.free,
        disk_bytes=disk.total,
    )


def _models() -> tuple[list[Item], list[Item]]:
    """The hub's own, and those elsewhere; the largest first."""
    models_dir = str(settings.HUB.models_dir)
    own, elsewhere = [], []
    rows = LocalModel.objects.order_by("-size_bytes")
    for slug, name, path, size in rows.values_list("slug", "name", "path", "size_bytes"):
        if os.path.dirname(path) == models_dir:  # noqa: PTH120 - thousands of them: no objects
            own.append(Item(name, bytes_under(Path(path)), slug))
        else:
            elsewhere.append(Item(name, size, slug, place=path))
    return sorted(own, key=lambda item: -item.nbytes), elsewhere


def _adapters() -> Part:
    rows = Adapter.objects.select_related("base").order_by("-size_bytes")
    items = tuple(
        Item(str(adapter), adapter.size_bytes, adapter.base.slug, adapter.slug)
        for adapter in rows
        if Path(adapter.path).parent == Path(settings.HUB.adapters_dir)
    )
    return Part("adapters", "Adapters", bytes_under(settings.HUB.adapters_dir), items=items)


def _database_bytes() -> int:
    return _sizes(Path(settings.HUB.data_dir).glob("*.sqlite3*"))


def _sizes(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += file.lstat().st_size
        except OSError:  # a write-ahead log goes when its database is closed
            continue
    return total
