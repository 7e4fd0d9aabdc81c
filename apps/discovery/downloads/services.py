"""Ordering downloads of models, and what a person may ask of any download."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction
from django.db.models import Min

from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.downloads import tasks
from apps.discovery.downloads.errors import AlreadyOrdered, StillUnfinished
from apps.discovery.downloads.models import OVER, Download
from apps.discovery.downloads.place import (
    default_slug,
    discard,
    folder_of,
    present,
    promised,
    require_no_other,
    require_room,
)
from apps.discovery.snapshot import Snapshot
from apps.jobs import control
from apps.jobs.models import JobState
from apps.models import landing
from apps.models.errors import NameTaken
from apps.models.models import LocalModel
from apps.models.services import require_free


@dataclass(frozen=True)
class Ordered:
    """What became of an order: a model that is here already, or a download."""

    model: LocalModel | None = None
    download: Download | None = None
    joined: bool = False
    """Whether the same revision was on its way already."""


def start(*, repo_id: str, revision: str | None = None, slug: str | None = None) -> Ordered:
    """Have the worker download a model, unless it is here or on its way.

    ``slug`` is its name here, by default the repository's; one that is new here makes a
    second copy. Asks the hub for the commit, the files and their exact sizes. What an
    earlier download under this name left is gone on with. Raises DiscoveryError or
    RegistryError.
    """
    hub.check_repo_id(repo_id)
    target = slug or default_slug(repo_id)
    here = present(repo_id, slug)
    if here is not None and not _is_other_revision(here, revision):
        return Ordered(model=here)
    require_free(target, landing.home(target))
    require_no_other(target, repo_id)
    named = Download.objects.unfinished().of_name(Download.RepoType.MODEL, target)
    underway = named.first()
    if underway is not None and underway.repo_id == repo_id and underway.asks_for(revision):
        return joined(underway)
    snapshot = hub.find(repo_id, revision, configured_access())
    if underway is not None:
        return joined(_same(underway, snapshot))
    require_room(snapshot, landing.partial(target), others=promised())
    try:
        with transaction.atomic():
            download = queued(Download(slug=target), snapshot, revision or "")
    except IntegrityError:
        # Somebody else ordered something under this name a moment ago.
        return joined(_same(named.all().get(), snapshot))
    return Ordered(download=download)


def pause(*, download: Download) -> None:
    """Have it wait until it is resumed; its partial files stay."""
    control.pause(download)


def resume(*, download: Download) -> None:
    """Go on with one that stands still, from what it has. Raises AlreadyOrdered."""
    try:
        with transaction.atomic():
            if control.requeue(download):
                transaction.on_commit(tasks.work_off_downloads)
    except IntegrityError as error:
        raise AlreadyOrdered(
            f"Another download is to become {download.slug!r}. Cancel that one first."
        ) from error


def cancel(*, download: Download) -> None:
    """End it and remove what came of it; a running one within a second or two.

    One that failed or was interrupted is given up for good.
    """
    control.cancel(download)
    Download.objects.filter(
        pk=download.pk, state__in=(JobState.FAILED, JobState.INTERRUPTED)
    ).update(state=JobState.CANCELLED)
    download.refresh_from_db()
    if download.state == JobState.CANCELLED:
        discard(download)


def put_first(*, download: Download) -> None:
    """Let it be the next one that begins."""
    first = Download.objects.queued().exclude(pk=download.pk).aggregate(rank=Min("rank"))["rank"]
    if first is not None:
        Download.objects.filter(pk=download.pk).update(rank=first - 1)
        download.refresh_from_db()


def forget(*, download: Download) -> None:
    """Take one that is over off the list; its model stays. Raises StillUnfinished."""
    if not Download.objects.filter(pk=download.pk, state__in=OVER).delete()[0]:
        raise StillUnfinished(f"The download of {download.repo_id} is not over. Cancel it first.")


def queued(
    wanted: Download, snapshot: Snapshot, revision: str, *, certain: Snapshot | None = None
) -> Download:
    """A queued row for the snapshot; an earlier one that stopped short is used again.

    ``wanted``: a new row with its type, name and selection. ``certain``: what is fetched of
    it in any case, where that is not all. Call it in a transaction. Raises IntegrityError
    where another download is to become what it is called.
    """
    expected = certain or snapshot
    missing = expected.missing_bytes(folder_of(wanted))
    facts = {
        "revision": revision,
        "commit": snapshot.commit,
        "files": [asdict(file) for file in snapshot.files],
        "selection": wanted.selection,
        "bytes_total": expected.size_bytes,
        "bytes_done": expected.size_bytes - missing,
    }
    transaction.on_commit(tasks.work_off_downloads)
    named = Download.objects.of_name(wanted.repo_type, wanted.slug)
    stopped = named.filter(repo_id=snapshot.repo_id).exclude(state=JobState.DONE)
    download = stopped.select_for_update().first()
    if download is None:
        key = {"repo_type": wanted.repo_type, "repo_id": snapshot.repo_id, "slug": wanted.slug}
        return Download.objects.create(**key, **facts)
    if control.requeue(download):
        Download.objects.filter(pk=download.pk).update(rate=0.0, model=None, **facts)
        download.refresh_from_db()
    return download


def joined(download: Download) -> Ordered:
    """An order for what is on its way already; a paused one goes on."""
    if download.state == JobState.PAUSED:
        resume(download=download)
    return Ordered(download=download, joined=True)


def _same(underway: Download, snapshot: Snapshot) -> Download:
    """``underway``, if it brings this very snapshot. Raises AlreadyOrdered."""
    if (underway.repo_id, underway.commit) == (snapshot.repo_id, snapshot.commit):
        return underway
    raise AlreadyOrdered(
        f"{underway.repo_id} at {underway.commit[:7]} is being downloaded as {underway.slug!r}. "
        "Choose another name for this one, or cancel that download."
    )


def _is_other_revision(model: LocalModel, revision: str | None) -> bool:
    """Whether the model here is known to be another revision than the one asked for.

    Raises NameTaken then: its name stands for what it is.
    """
    if revision is None:
        return False
    came = model.downloads.filter(state=JobState.DONE).first()
    if came is None or revision in (came.commit, came.revision):
        return False
    raise NameTaken(
        f"{model.slug!r} is {model.repo_id} at {came.commit[:7]}. Choose a name of its own for "
        f"revision {revision}: `mlx-hub pull {model.repo_id} --revision {revision} --name NAME`."
    )
