"""One publication from its claim to its commit.

A large file that the hub has already is not sent again, so one that is repeated goes on
where the last one ended. The commit comes last: until then the repository is empty.
"""

from __future__ import annotations

import threading

from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.errors import DiscoveryError
from apps.discovery.hub import Outgoing
from apps.discovery.publishing.card import card_of
from apps.discovery.publishing.errors import NotPublishable, PublishingError
from apps.discovery.publishing.files import files_of
from apps.discovery.publishing.models import Publication
from apps.jobs.conduct import Progress, Report, conduct


def run(
    publication: Publication,
    *,
    stops: threading.Event,
    on_progress: Progress | None = None,
) -> None:
    """Send it until it is there, somebody cancels it, or ``stops`` is set."""
    conduct(
        publication,
        lambda report: _publish(publication, report),
        expected=(PublishingError, DiscoveryError),
        worker_stops=stops,
        on_progress=on_progress,
    )


def _publish(publication: Publication, report: Report) -> None:
    """Raises PublishingError, DiscoveryError and what ``report`` raises."""
    files = _files(publication)
    total = sum(file.size for file in files)
    access = configured_access()

    def tell(name: str, sent: int) -> None:
        fraction = sent / max(total, 1)
        report(f"sending {name}", fraction, sent_bytes=sent, total_bytes=total)

    report("making the repository", 0.0, total_bytes=total)
    if not publication.existing:
        hub.create_repository(publication.repo_id, access, private=publication.private)
        # Whoever repeats it finds its own repository there.
        Publication.objects.filter(pk=publication.pk).update(existing=True)
    url = hub.upload(
        publication.repo_id,
        files,
        access,
        message=f"Publish {publication.subject}",
        progress=tell,
    )
    Publication.objects.filter(pk=publication.pk).update(commit_url=url[:500])


def _files(publication: Publication) -> list[Outgoing]:
    """With the card. Raises NotPublishable."""
    model, adapter = publication.model, publication.adapter
    if model is None or publication.is_gone:
        raise NotPublishable(f"{publication.subject} was deleted meanwhile.")
    card = card_of(model, adapter, publication.repo_id)
    return [Outgoing("README.md", card), *files_of(model, adapter)]
