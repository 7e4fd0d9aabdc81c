"""Folders in the models folder that nobody uses, and removing them.

A download that was interrupted can go on from what it has; that is told, and it is
removed only when its owner says so. While work on a name is under way its lock is
held, and then nothing of that name is left over.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.models.consequences import bytes_under
from apps.models.errors import ModelInUse
from apps.models.models import LocalModel

_HIDDEN = re.compile(
    r"^\.(?P<slug>[a-z0-9][a-z0-9._-]*?)\.(?P<kind>partial|unregistered|importing-\d+-[^.]+)$"
)

_WHAT = {
    "partial": "A download that did not get to its end. Pulling the model again goes on from it.",
    "unregistered": "An import or a deletion that did not get to its end.",
    "importing": "An import that did not get to its end.",
    "folder": "A folder that no model of the registry uses.",
}


@dataclass(frozen=True)
class Leftover:
    """A folder that may go."""

    name: str
    """Of the folder."""
    slug: str
    nbytes: int
    what: str
    """What it is, in a sentence or two."""


def leftovers() -> Iterator[Leftover]:
    """Folders in the models folder that no model and no process uses, by name."""
    for path, slug, kind in _unregistered():
        if not _at_work(path.parent, slug):
            yield Leftover(path.name, slug, bytes_under(path), _WHAT[kind])


def remove(name: str) -> int:
    """Remove the leftover of this name; the bytes freed. Raises ModelInUse where it is none."""
    path, slug = _named(name)
    with path.with_name(f".{slug}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelInUse(
                f"{name} is in use again. Wait for that work, or cancel it."
            ) from error
        _named(name)  # it may have become a model just before the lock was ours
        freed = bytes_under(path)
        shutil.rmtree(path)
    return freed


def _unregistered() -> Iterator[tuple[Path, str, str]]:
    """Each folder that no row names, the slug it is for, and which of ``_WHAT`` it is."""
    folder = Path(settings.HUB.models_dir)
    registered = set(LocalModel.objects.values_list("path", flat=True))
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        if not path.is_dir() or path.is_symlink() or str(path) in registered:
            continue
        hidden = _HIDDEN.match(path.name)
        if hidden is not None:
            yield path, hidden["slug"], hidden["kind"].partition("-")[0]
        elif not path.name.startswith("."):
            yield path, path.name, "folder"


def _named(name: str) -> tuple[Path, str]:
    """The unregistered folder of this name and its slug. Raises ModelInUse where it is none."""
    for path, slug, _ in _unregistered():
        if path.name == name:
            return path, slug
    raise ModelInUse(f"{name} is not left over any more: it is gone, or in use again.")


def _at_work(folder: Path, slug: str) -> bool:
    """Whether some process works on this name now."""
    try:
        with (folder / f".{slug}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
