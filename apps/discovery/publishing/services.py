"""Ordering, ending, repeating and forgetting publications."""

from __future__ import annotations

from django.db import transaction

from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.errors import DiscoveryError
from apps.discovery.publishing import tasks
from apps.discovery.publishing.errors import NotPublishable, PublicationActive
from apps.discovery.publishing.files import files_of, require_publishable
from apps.discovery.publishing.models import Publication
from apps.jobs import control
from apps.models.models import Adapter, LocalModel


def hindrance() -> str:
    """Why nothing can be published now, and what to do; empty where it can."""
    try:
        hub.require_writable(configured_access())
    except DiscoveryError as error:
        return str(error)
    return ""


def order(
    *,
    model: LocalModel,
    adapter: Adapter | None,
    repo_id: str,
    private: bool = True,
    existing: bool = False,
) -> Publication:
    """A queued publication. Raises NotPublishable and DiscoveryError: nothing is queued in vain.

    ``existing``: whether it may be added to a repository that is there.
    """
    hub.check_repo_id(repo_id)
    if "/" not in repo_id:
        raise NotPublishable("Name the repository with its owner, as OWNER/NAME.")
    require_publishable(model, adapter)
    hub.require_writable(configured_access())
    files = files_of(model, adapter)
    return Publication.objects.create(
        model=model,
        adapter=adapter,
        of_adapter=adapter is not None,
        subject=str(adapter) if adapter else model.slug,
        repo_id=repo_id,
        private=private,
        existing=existing,
        total_bytes=sum(file.size for file in files),
    )


def start(*, publication: Publication) -> None:
    """Have the worker send it once the transaction is committed."""
    transaction.on_commit(lambda: tasks.run_publication(publication.pk))


def cancel(*, publication: Publication) -> None:
    """End it; what was sent is kept by the hub for a while, and nobody sees it."""
    control.cancel(publication)


def repeat(*, publication: Publication) -> None:
    """Send what is missing. Raises DiscoveryError where nothing can be sent now."""
    hub.require_writable(configured_access())
    with transaction.atomic():
        if control.requeue(publication):
            start(publication=publication)


def forget(*, publication: Publication) -> None:
    """Delete its row; the repository stays. Raises PublicationActive."""
    active = Publication.objects.active()
    deleted, _ = Publication.objects.exclude(pk__in=active).filter(pk=publication.pk).delete()
    if not deleted:
        raise PublicationActive(f"Publishing {publication} is at work. Cancel it first.")
