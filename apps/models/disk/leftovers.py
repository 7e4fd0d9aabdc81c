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
    folder = Path(settings.HUB.models_dir)
    registered = set(LocalModel.objects.values_list("path", flat=True))
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        if not path.is_dir() or path.is_symlink() or str(path) in registered:
            continue
        hidden = _HIDDEN.match(path.name)
        if path.name.startswith(".") and hidden is None:
            continue
        slug = hidden["slug"] if hidden else path.name
        kind = hidden["kind"].partition("-")[0] if hidden else "folder"
        if not _at_work(folder, slug):
            yield Leftover(path.name, slug, bytes_under(path), _WHAT[kind])


def remove(name: str) -> int:
    """Remove the leftover of this name; the bytes freed. Raises ModelInUse where it is none."""
    found = next((each for each in leftovers() if each.name == name), None)
    if found is None:
        raise ModelInUse(f"{name} is not left over any more: it is gone, or in use again.")
    folder = Path(settings.HUB.models_dir)
    with (folder / f".{found.slug}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelInUse(
                f"{name} is in use again. Wait for that work, or cancel it."
            ) from error
        shutil.rmtree(folder / name)
    return found.nbytes


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
