"""Orders of work on datasets, and what other apps ask of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from apps.datasets import landing
from apps.datasets.errors import BadDataOrder, Busy, InUse, SourceNotFound
from apps.datasets.formats.checks import ERRORS
from apps.datasets.formats.first_rows import FirstRows
from apps.datasets.formats.mapping import Mapping
from apps.datasets.formats.store.reading import Wanted
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.signals import dataset_uses
from apps.models.naming import slug_from

RESERVED = frozenset({"import", "jobs"})
"""Pages that stand where a dataset of this name would have its own."""

OWNER = DatasetVersion.UNSIGNED
"""Who did what nobody signed in for: the person whose machine it is."""

_EXAMINATIONS = (DatasetJob.Kind.NEAR, DatasetJob.Kind.TOKENS, DatasetJob.Kind.LANGUAGES)


def create_dataset(*, name: str, source: str = "") -> Dataset:
    """A dataset without rows. Where the name is taken, its address has a number behind it."""
    # A name in another script leaves nothing for the address, and is a name all the same.
    base = slug_from(name)[:100] or "dataset"
    with transaction.atomic():
        slug, number = base, 2
        while slug in RESERVED or Dataset.objects.filter(slug=slug).exists():
            slug, number = f"{base}-{number}", number + 1
        return Dataset.objects.create(
            slug=slug, name=name.strip()[:200] or base, source=source[:1000]
        )


def order_import(
    *,
    path: Path,
    name: str,
    uploaded: bool = False,
    mapping: Mapping | None = None,
    origin: dict[str, Any] | None = None,
    splits: dict[str, str] | None = None,
    first: FirstRows | None = None,
    by: str = OWNER,
) -> DatasetJob:
    """Have the worker read a source into a new dataset. Raises BadDataOrder.

    ``uploaded``: the file is the hub's own copy, which goes once the job is over. However often
    it is ordered, also at the same instant, there is one import of it, and that one is returned.
    ``mapping``: what makes rows of the records, where that need not be recognised.
    ``origin``: where they come from, for people under "label"; kept with the version.
    ``splits``: train, valid or test for each file of a folder, by its name there.
    ``first``: where only so many rows are wanted.
    ``by``: whose name its versions bear.
    """
    path = path.absolute()
    if not os.path.exists(path):  # noqa: PTH110 - also of names that no file can have
        if uploaded and (ordered := import_of(path)) is not None:
            return ordered
        raise SourceNotFound(f"There is no file or folder {path}. Check the path.")
    origin = origin or {"label": str(path) if not uploaded else name}
    plan = {
        "path": str(path),
        "label": path.name if not uploaded else origin["label"],
        "uploaded": uploaded,
        "origin": origin,
        "splits": splits or {},
        "mapping": mapping.as_json() if mapping else None,
        "first": first.as_json() if first else None,
    }
    try:
        with transaction.atomic():
            dataset = create_dataset(name=name or path.stem, source=origin["label"])
            upload = str(path) if uploaded else ""
            return _order(DatasetJob.Kind.IMPORT, dataset, None, plan, by=by, upload=upload)
    except IntegrityError:
        # Another request ordered the import of this very file a moment ago.
        if uploaded and (ordered := import_of(path)) is not None:
            return ordered
        raise


def import_of(path: Path) -> DatasetJob | None:
    """The import that an uploaded file was ordered for, whether or not the file is still there."""
    return DatasetJob.objects.filter(upload=str(path)).select_related("dataset").first()


def order(
    *,
    version: DatasetVersion,
    kind: str,
    plan: dict[str, Any],
    by: str = OWNER,
) -> DatasetJob:
    """Have the worker do something with a version; ``by`` as of an import.

    Raises Busy, BadDataOrder, BadMapping.
    """
    if kind == DatasetJob.Kind.MAP:
        Mapping.of_json(plan["mapping"]).check(version.facts["columns"])
    with transaction.atomic():
        if kind not in _EXAMINATIONS:
            _require_idle(version.dataset)
        return _order(kind, version.dataset, version, plan, by=by)


def restore(*, version: DatasetVersion) -> None:
    """Have the dataset stand for this version again: undo, and redo. Raises Busy."""
    with transaction.atomic():
        _require_idle(version.dataset)
        version.dataset.head = version
        version.dataset.save(update_fields=["head"])


def delete_dataset(*, dataset: Dataset) -> None:
    """Forget a dataset with its versions and their files. Raises InUse, Busy."""
    with transaction.atomic():
        _require_idle(dataset, but=())
        versions = list(dataset.versions.all())
        answers = dataset_uses.send(sender=Dataset, versions=versions)
        uses = [use for _, answer in answers for use in answer or ()]
        if uses:
            raise InUse(f"{dataset.name} can't be deleted: {' '.join(uses)}")
        dataset.delete()
    landing.remove_unnamed({version.digest for version in versions})


def folder_for_training(version: DatasetVersion) -> Path:
    """The folder with train.jsonl and, if it was split, valid.jsonl. It never changes.

    Raises BadDataOrder where there is nothing in it that a model can be trained on.
    """
    if version.kind == DatasetVersion.Kind.UNMAPPED:
        raise BadDataOrder(f"{version} has no roles yet. Map its columns first.")
    if not version.train_rows:
        raise BadDataOrder(f"{version} has no row to train on. Split it anew.")
    faulty = len(version.files.numbers(Wanted(problem=ERRORS)))
    if faulty:
        raise BadDataOrder(
            f"{faulty:,} row{'s' if faulty != 1 else ''} of {version} can't be learnt from. See "
            "its problems, and remove or correct them."
        )
    return version.folder


def active_jobs(datasets: Iterable[Dataset]) -> dict[int, DatasetJob]:
    """The job at work on each dataset, by the dataset's key."""
    jobs = DatasetJob.objects.active().filter(dataset__in=list(datasets))
    return {job.dataset_id: job for job in jobs}


def _order(
    kind: str,
    dataset: Dataset,
    base: DatasetVersion | None,
    plan: dict[str, Any],
    *,
    by: str,
    upload: str = "",
) -> DatasetJob:
    from apps.datasets.tasks import run_dataset_job  # the task imports the work it does

    job = DatasetJob.objects.create(
        kind=kind, dataset=dataset, base=base, plan=plan, ordered_by=by[:150], upload=upload
    )
    transaction.on_commit(lambda: run_dataset_job(job.pk))
    return job


def _require_idle(dataset: Dataset, *, but: Collection[str] = _EXAMINATIONS) -> None:
    """Raises Busy where a job is at work on it, ``but`` for some kinds."""
    active = DatasetJob.objects.active().filter(dataset=dataset).exclude(kind__in=but)
    if (job := active.first()) is not None:
        raise Busy(
            f"A job is at work on {dataset.name}: {job.get_kind_display()}. Wait until it is "
            "done, or cancel it."
        )
