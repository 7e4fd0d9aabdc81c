"""One download from its first byte to the registered model, or the ordered import of its rows."""

from __future__ import annotations

import shutil
from dataclasses import asdict

from django.db import transaction

from apps.datasets.errors import DatasetError
from apps.datasets.formats.errors import FormatError
from apps.datasets.formats.first_rows import FirstRows
from apps.datasets.services import order_import
from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.downloads.enough import Enough, certain
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.place import (
    basename,
    default_slug,
    fetched_place,
    folder_of,
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

EXPECTED = (DiscoveryError, RegistryError, RuntimeFault, DatasetError, FormatError)


def bring(download: Download, report: Report) -> None:
    """Fetch what is missing, check it, and enter what came of it in the download's row.

    Raises one of EXPECTED; what has arrived by then stays for the next time.
    """
    if download.is_data:
        _bring_dataset(download, report)
    else:
        _bring_model(download, report)


def _bring_model(download: Download, report: Report) -> None:
    """Files that are no model after all are removed."""
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


def _bring_dataset(download: Download, report: Report) -> None:
    """Order the import of the files; from then on they are that job's."""
    if download.dataset_id is not None:
        return  # the process ended right after it ordered the import
    place = fetched_place(download)
    if not place.exists():
        _fetch(download, report)
        place = fetched_place(download)  # which fewer files may lie in than were ordered
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder_of(download).rename(place)
    chosen = download.selection
    with transaction.atomic():
        job = order_import(
            path=place,
            name=chosen["name"],
            uploaded=True,
            origin=chosen["origin"],
            splits=chosen["splits"],
            first=_first_rows(download),
            by=chosen["by"],
        )
        Download.objects.filter(pk=download.pk).update(
            dataset=job.dataset, bytes_done=download.bytes_total
        )


def _fetch(download: Download, report: Report) -> None:
    folder, snapshot, first = folder_of(download), download.snapshot, _first_rows(download)
    require_room(certain(snapshot, first), folder, others=promised(besides=download))
    folder.mkdir(exist_ok=True, parents=True)
    watch = Watch(download, report)
    steps = (watch.on_step, watch.on_setback)
    if first is None:
        hub.download(snapshot, folder, configured_access(), *steps)
        return
    enough = Enough(first, folder, watch.expect)
    brought = hub.download(snapshot, folder, configured_access(), *steps, needs=enough.needs)
    download.files = [asdict(file) for file in brought.files]
    download.bytes_total = brought.size_bytes
    download.save(update_fields=["files", "bytes_total"])


def _first_rows(download: Download) -> FirstRows | None:
    """How many rows were ordered of a dataset; None: all."""
    first = download.selection.get("first")
    return FirstRows.of_json(first) if first else None


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
