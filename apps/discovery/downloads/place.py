"""Where a download goes on this machine: its name, its folder, and the room for it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from django.conf import settings
from django.db.models import F, Sum

from apps.discovery.downloads.models import Download
from apps.discovery.errors import NotEnoughDisk
from apps.discovery.snapshot import Snapshot
from apps.models import landing
from apps.models.errors import NameTaken
from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.models import LocalModel
from apps.models.naming import slug_from
from apps.models.services import require_vacant
from apps.models.sizes import readable

_COPIES = 2
"""Of a dataset's files, beside them: its columns, and the rows made of them."""


def default_slug(repo_id: str) -> str:
    """What a model of this repository is called where nobody chose a name."""
    return slug_from(basename(repo_id))


def basename(repo_id: str) -> str:
    """A repository's name without its owner."""
    return repo_id.rpartition("/")[2]


def present(repo_id: str, slug: str | None) -> LocalModel | None:
    """The model of this repository that is here, under this name if one is given."""
    models = LocalModel.objects.filter(repo_id=repo_id)
    for model in (models if slug is None else models.filter(slug=slug)).order_by("created_at"):
        if Path(model.path).is_dir():
            return model
    return None


def require_no_other(slug: str, repo_id: str) -> None:
    """Raises NameTaken where the slug stands for another model, or its folder is in use."""
    if LocalModel.objects.filter(slug=slug).exclude(repo_id=repo_id).exists():
        raise NameTaken(
            f"Another model is called {slug!r} here. Choose a name for this one: "
            f"`mlx-hub pull {repo_id} --name NAME`."
        )
    require_vacant(slug)


def folder_of(download: Download) -> Path:
    """Where its files grow. It outlives the process, so that the next one can go on."""
    if not download.is_data:
        return landing.partial(download.slug)
    return Path(settings.HUB.datasets_dir) / f".{download.slug}.partial"


def fetched_place(download: Download) -> Path:
    """Where a dataset's files wait, whole, for the import that reads and removes them."""
    files = "".join(f"{file['name']} {file['checksum']}\n" for file in download.files)
    key = hashlib.sha256(files.encode()).hexdigest()[:16]
    return Path(settings.HUB.uploads_dir) / f"hub-{download.pk}-{key}" / "rows"


def require_room(snapshot: Snapshot, folder: Path, *, others: int) -> None:
    """Raises NotEnoughDisk before a byte is fetched.

    ``others``: bytes that other downloads are about to write on the same disk.
    """
    missing = snapshot.missing_bytes(folder)
    if snapshot.repo_type == "dataset":
        missing += _COPIES * snapshot.size_bytes
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(folder.parent).free
    if free >= missing + others + FREE_FLOOR_BYTES:
        return
    besides = f" (other downloads take {readable(others)} of them)" if others else ""
    raise NotEnoughDisk(
        f"{snapshot.repo_id} needs {readable(missing)} more on the disk of {folder.parent}, "
        f"where {readable(free)} are free{besides} and {readable(FREE_FLOOR_BYTES)} are to stay "
        "free. Make room, then try again."
    )


def require_floor(folder: Path) -> None:
    """Raises NotEnoughDisk where something else took the room while a download runs."""
    free = shutil.disk_usage(folder).free
    if free < FREE_FLOOR_BYTES:
        raise NotEnoughDisk(
            f"Only {readable(free)} are left on the disk of {folder}, and "
            f"{readable(FREE_FLOOR_BYTES)} are to stay free. Make room, then try again: the "
            "download goes on from where it stopped."
        )


def promised(*, besides: Download | None = None) -> int:
    """Bytes that the running downloads are still to write."""
    running = Download.objects.running()
    if besides is not None:
        running = running.exclude(pk=besides.pk)
    left: int | None = running.aggregate(left=Sum(F("bytes_total") - F("bytes_done")))["left"]
    return left or 0


def reclaim(slug: str, snapshot: Snapshot) -> None:
    """Take back a whole folder whose registration was killed in its last moment.

    The folder was moved home and the row's commit never came. Only one that holds exactly
    what the download brings is taken for it. Call it under ``landing.exclusive``.
    """
    home, partial = landing.home(slug), landing.partial(slug)
    if not home.is_dir() or partial.exists() or LocalModel.objects.filter(path=str(home)).exists():
        return
    here = {
        path.relative_to(home).as_posix(): path.stat().st_size
        for path in home.rglob("*")
        if path.is_file()
    }
    if here == {file.name: file.size for file in snapshot.files}:
        home.rename(partial)


def discard(download: Download) -> None:
    """Remove what a cancelled download left, unless another one may go on with it."""
    if not download.is_data:
        _discard_model(download.slug)
    elif not Download.objects.keeping().of_name(download.repo_type, download.slug).exists():
        shutil.rmtree(folder_of(download), ignore_errors=True)
        for place in Path(settings.HUB.uploads_dir).glob(f"hub-{download.pk}-*"):
            shutil.rmtree(place, ignore_errors=True)


def _discard_model(slug: str) -> None:
    others = Download.objects.keeping().of_name(Download.RepoType.MODEL, slug)
    # Asked first without the name's lock: a download that runs holds that for hours.
    if not landing.partial(slug).exists() or others.exists():
        return
    with landing.exclusive(slug):
        if not others.all().exists():
            shutil.rmtree(landing.partial(slug), ignore_errors=True)
