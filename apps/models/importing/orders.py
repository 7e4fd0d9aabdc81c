"""What is to be imported, checked as far as headers tell, and the job for it."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from apps.jobs.conduct import JobEnds, Report
from apps.models import services
from apps.models.found.scan import find_in_folder, origin_of
from apps.models.models import LocalModel
from apps.models.naming import slug_from
from apps.models.runtime.errors import ModelFormatError
from apps.models.services import require_free
from apps.models.work.models import ModelJob
from apps.models.work.plans import ImportPlan
from apps.uploads.pieces import drop


def order_for(path: Path, name: str = "") -> ImportPlan:
    """An order for the model at ``path``, called ``name`` or as its file is.

    Raises ModelFormatError where there is none, or several, or one that can't be
    imported; RegistryError where the name is taken or can't be one.
    """
    path = path.absolute()
    finds = find_in_folder(path)
    if len(finds) > 1:
        raise ModelFormatError(
            f"There are {len(finds)} models in {path}. Give the path of one, such as "
            f"{finds[0].path}."
        )
    if not finds:
        raise ModelFormatError(
            f"There is no model in {path}: no GGUF file, and no folder with config.json and "
            "safetensors files. Choose another folder."
        )
    find = finds[0]
    if find.problem:
        raise ModelFormatError(find.problem)
    title = name.strip() or _title(find.path)
    slug = slug_from(title)
    require_free(slug, find.path)
    return ImportPlan(path=find.path, slug=slug, name=title)


def uploaded(path: Path, name: str) -> ImportPlan:
    """An order for a file that was sent here and is the hub's own. Raises as ``order_for``."""
    return order_for(path, name).model_copy(update={"uploaded": True})


def start(*, order: ImportPlan) -> ModelJob:
    """Have the worker import it. Where the same import waits or runs already, that one."""
    from apps.models.work.tasks import run_model_job  # the task imports the work it does

    plan = order.model_dump(mode="json")
    with transaction.atomic():
        same = ModelJob.objects.active().filter(kind=ModelJob.Kind.IMPORT, plan=plan).first()
        if same is not None:
            return same
        job = ModelJob.objects.create(
            kind=ModelJob.Kind.IMPORT, subject=order.name[:200], plan=plan
        )
        transaction.on_commit(lambda: run_model_job(job.pk))
    return job


def run(order: ImportPlan, progress: services.Progress) -> LocalModel:
    """Import it now. Raises RuntimeFault or RegistryError; then nothing is left of it."""
    origin = origin_of(order.path)
    if order.path.is_dir():
        return services.register_folder(
            path=order.path,
            slug=order.slug,
            name=order.name,
            source=origin.source,
            repo_id=origin.repo_id,
            progress=progress,
        )
    return services.import_gguf_model(
        source=order.path,
        slug=order.slug,
        name=order.name,
        kept_by=origin.source,
        repo_id=origin.repo_id,
        progress=progress,
    )


def import_model(job: ModelJob, report: Report) -> None:
    """The work of an import job. Raises RuntimeFault or RegistryError."""
    order = ImportPlan.model_validate(job.plan)
    try:
        job.result = run(order, report)
    except JobEnds:
        raise  # a job that is to go on later still needs its file
    except BaseException:
        _drop(order)
        raise
    _drop(order)
    job.save(update_fields=["result"])


def _drop(order: ImportPlan) -> None:
    """Remove the hub's own copy of what was uploaded."""
    if order.uploaded:
        drop(order.path)


def _title(path: Path) -> str:
    """What the model at ``path`` is called where nobody says.

    A snapshot in Hugging Face's cache is named by its commit, so there it is the
    repository's name.
    """
    if not path.is_dir():
        return path.stem
    return origin_of(path).repo_id.rpartition("/")[2] or path.name
