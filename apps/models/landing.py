"""Where a model folder waits while it is not, or no longer, in the registry.

A row and a folder can't change in one step, so the folder changes its name
beside the row: hidden ``.<slug>.unregistered`` before the row exists and after
it is gone, ``<slug>`` in between. Whatever moment a process is killed at,
``settle`` can tell from the two what remains to be done. Work on one slug holds
its lock, which the system releases when the process dies.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.models.models import LocalModel
from apps.models.runtime.staging import remove_abandoned

FREE_FLOOR_BYTES = 2 * 1024**3
"""What downloads and uploads leave free: a full disk stops databases, caches and the desktop."""

_SUFFIX = ".unregistered"


def home(slug: str) -> Path:
    """The folder of a registered model that the hub owns."""
    return Path(settings.HUB.models_dir) / slug


def waiting(slug: str) -> Path:
    """The same folder while no row speaks for it."""
    return home(slug).with_name(f".{slug}{_SUFFIX}")


def partial(slug: str) -> Path:
    """Where a download grows. It outlives its process, so that the next one can go on."""
    return home(slug).with_name(f".{slug}.partial")


@contextmanager
def exclusive(slug: str) -> Iterator[None]:
    """Work on one slug's folder alone, from a settled state; others wait their turn."""
    with _lock(slug):
        settle(slug)
        yield


def settle(slug: str) -> None:
    """Finish what a killed import or deletion of ``slug`` began. Call it under the lock."""
    remove_abandoned(home(slug).parent)
    if not waiting(slug).exists():
        return
    registered = LocalModel.objects.filter(slug=slug, path=str(home(slug))).exists()
    if registered and not home(slug).exists():
        waiting(slug).rename(home(slug))
    else:
        shutil.rmtree(waiting(slug))


def settle_all() -> None:
    """``settle`` every slug that has a folder waiting; run it when the hub starts."""
    for folder in Path(settings.HUB.models_dir).glob(f".*{_SUFFIX}"):
        with exclusive(folder.name.removeprefix(".").removesuffix(_SUFFIX)):
            pass


@contextmanager
def _lock(slug: str) -> Iterator[None]:
    # The file stays: removing it could give two processes a lock each.
    with home(slug).with_name(f".{slug}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
