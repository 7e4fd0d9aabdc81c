"""One download from its first byte to the registered model."""

from __future__ import annotations

import shutil

from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.place import (
    basename,
    default_slug,
    present,
    promised,
    reclaim,
    require_no_other,
    require_room,
)
from apps.discovery.downloads.watching import Watch
from apps.discovery.errors import DiscoveryError
from apps.jobs.conduct import Report
from apps.models import landing
from apps.models.errors import RegistryError
from apps.models.models import LocalModel
from apps.models.runtime.errors import ModelFormatError, RuntimeFault
from apps.models.services import adopt_folder, require_free

EXPECTED = (DiscoveryError, RegistryError, RuntimeFault)


def bring(download: Download, report: Report) -> None:
    """Fetch what is missing, check it, register it, and enter the model in the download's row.

    Raises one of EXPECTED; what has arrived by then stays for the next time. Files that
    are no model after all are removed.
    """
    slug, snapshot = download.slug, download.snapshot
    require_free(slug, landing.home(slug))
    with landing.exclusive(slug):
        model = present(download.repo_id, slug)
        if model is None:
            reclaim(slug, snapshot)
            require_no_other(slug, download.repo_id)
            _fetch(download, report)
            model = _register(download, report)
    Download.objects.filter(pk=download.pk).update(model=model, bytes_done=download.bytes_total)


def _fetch(download: Download, report: Report) -> None:
    folder = landing.partial(download.slug)
    require_room(download.snapshot, folder, others=promised(besides=download))
    folder.mkdir(exist_ok=True)
    watch = Watch(download, report)
    hub.download(download.snapshot, folder, configured_access(), watch.on_step, watch.on_setback)


def _register(download: Download, report: Report) -> LocalModel:
    folder = landing.partial(download.slug)
    by_default = download.slug == default_slug(download.repo_id)
    try:
        return adopt_folder(
            files=folder,
            slug=download.slug,
            name=basename(download.repo_id) if by_default else download.slug,
            source=LocalModel.Source.HUB,
            repo_id=download.repo_id,
            progress=lambda stage, share: report(
                stage, 1.0, rate=0.0, bytes_done=download.bytes_total
            ),
        )
    except ModelFormatError:
        # Whole, and still no model: there is nothing to go on with.
        shutil.rmtree(folder)
        raise
