"""Bringing models here from Hugging Face."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.discovery import hub
from apps.discovery.errors import NotEnoughDisk
from apps.discovery.snapshot import RemoteFile, Snapshot
from apps.models import landing
from apps.models.errors import NameTaken
from apps.models.models import LocalModel
from apps.models.naming import slug_from
from apps.models.runtime.errors import ModelFormatError
from apps.models.services import Progress, adopt_folder, require_free, require_vacant

FREE_FLOOR_BYTES = 2 * 1024**3
"""What a download leaves free: a full disk stops databases, caches and the desktop."""


@dataclass(frozen=True)
class Pulled:
    """A model that is here now."""

    model: LocalModel
    downloaded: bool
    """False where it was here before."""


def pull(
    *,
    repo_id: str,
    revision: str | None = None,
    slug: str | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Download a model repository and register it, or say that it is here already.

    ``slug`` is its name here, by default the repository's; one that is new here makes
    a second copy. An interrupted call leaves what it got, and the next one goes on
    from there. Two calls for one slug take turns.

    Raises DiscoveryError, RegistryError, or ModelFormatError where the files are no
    model after all; those files are removed.
    """
    hub.check_repo_id(repo_id)
    here = _present(repo_id, slug)
    if here:
        return Pulled(here, downloaded=False)
    basename = repo_id.rpartition("/")[2]
    target = slug or slug_from(basename)
    require_free(target, landing.home(target))
    with landing.exclusive(target):
        here = _present(repo_id, slug)  # another call may have been at it meanwhile
        if here:
            return Pulled(here, downloaded=False)
        _require_no_other(target, repo_id)
        _bring(repo_id, revision, landing.partial(target), progress)
        try:
            model = adopt_folder(
                files=landing.partial(target),
                slug=target,
                name=slug or basename,
                source=LocalModel.Source.HUB,
                repo_id=repo_id,
                progress=progress,
            )
        except ModelFormatError:
            # Whole, and still no model: there is nothing to go on with.
            shutil.rmtree(landing.partial(target))
            raise
    return Pulled(model, downloaded=True)


def _bring(repo_id: str, revision: str | None, folder: Path, progress: Progress | None) -> None:
    """Fill ``folder`` with the repository's files."""
    access = _access()
    snapshot = hub.find(repo_id, revision, access)
    _require_space(snapshot, folder)
    folder.mkdir(exist_ok=True)
    total = max(1, snapshot.size_bytes)

    def report(file: RemoteFile, done: int) -> None:
        if progress:
            progress(f"downloading {file.name} ({_readable(file.size)})", done / total)

    hub.download(snapshot, folder, access, report)


def _access() -> hub.Access:
    token = settings.HUB.hf_token
    return hub.Access(
        endpoint=settings.HUB.hf_endpoint.rstrip("/"),
        token=token.get_secret_value() if token else None,
    )


def _present(repo_id: str, slug: str | None) -> LocalModel | None:
    """The model pulled from this repository, under this name if one is given, if its files exist."""
    models = LocalModel.objects.filter(repo_id=repo_id).order_by("created_at")
    for model in models if slug is None else models.filter(slug=slug):
        if Path(model.path).is_dir():
            return model
    return None


def _require_no_other(slug: str, repo_id: str) -> None:
    """Raises NameTaken where the slug stands for another model, or its folder is in use."""
    if LocalModel.objects.filter(slug=slug).exclude(repo_id=repo_id).exists():
        raise NameTaken(
            f"Another model is called {slug!r} here. Choose a name for this one: "
            f"`mlx-hub pull {repo_id} --name NAME`."
        )
    require_vacant(slug)


def _require_space(snapshot: Snapshot, folder: Path) -> None:
    """Raises NotEnoughDisk before a byte is fetched."""
    missing = snapshot.missing_bytes(folder)
    free = shutil.disk_usage(folder.parent).free
    if free < missing + FREE_FLOOR_BYTES:
        raise NotEnoughDisk(
            f"{snapshot.repo_id} needs {_readable(missing)} more on the disk of {folder.parent}, "
            f"where {_readable(free)} are free and {_readable(FREE_FLOOR_BYTES)} are to stay free. "
            "Make room, then try again."
        )


def _readable(nbytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{math.ceil(nbytes / 1e3)} kB"
