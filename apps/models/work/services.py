"""Ordering, cancelling, repeating and forgetting model jobs.

``order_*`` check what can be checked at once and leave a queued row; ``start`` has the
worker run it, and a command runs it itself by ``conduct``.
"""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from apps.jobs import control
from apps.jobs import tasks as turns
from apps.models import landing
from apps.models.errors import JobActive
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.work.orders import Dtype, Quantization
from apps.models.services import require_free, require_vacant
from apps.models.work import tasks
from apps.models.work.exporting import destination_for, require_absent
from apps.models.work.models import ModelJob
from apps.models.work.plans import ConvertPlan, ExportPlan, Format, FusePlan


def order_conversion(
    *,
    model: LocalModel,
    slug: str,
    name: str,
    quantization: Quantization | None,
    dtype: Dtype | None = None,
    measure: bool = True,
) -> ModelJob:
    """A queued conversion of ``model`` into a new one. Raises NameTaken, InvalidName."""
    _require_place(slug)
    plan = ConvertPlan(
        slug=slug, name=name, quantization=quantization, dtype=dtype, measure=measure
    )
    return _queued(ModelJob.Kind.CONVERT, model, plan.model_dump(mode="json"))


def order_fusion(
    *, adapter: Adapter, slug: str, name: str, dequantize: bool = False, measure: bool = True
) -> ModelJob:
    """A queued fusion of ``adapter`` and its base into a new model.

    Raises NameTaken, InvalidName.
    """
    _require_place(slug)
    plan = FusePlan(
        slug=slug, name=name, adapter=adapter.slug, dequantize=dequantize, measure=measure
    )
    return _queued(ModelJob.Kind.FUSE, adapter.base, plan.model_dump(mode="json"))


def order_export(*, model: LocalModel, format: Format, destination: Path | None = None) -> ModelJob:
    """A queued export; ``destination`` defaults to the data folder's exports. Raises NameTaken."""
    place = (destination or destination_for(model.slug, format)).expanduser().absolute()
    require_absent(place)
    plan = ExportPlan(format=format, destination=str(place))
    return _queued(ModelJob.Kind.EXPORT, model, plan.model_dump(mode="json"))


def order_verification(*, model: LocalModel) -> ModelJob:
    """A queued verification; where one of this model waits or runs already, that one."""
    active = ModelJob.objects.active().filter(kind=ModelJob.Kind.VERIFY, model=model).first()
    return active or _queued(ModelJob.Kind.VERIFY, model, {})


def start(*, job: ModelJob) -> None:
    """Have the worker run a queued job once the transaction is committed."""
    if job.is_heavy:
        transaction.on_commit(lambda: turns.take_turns())
    else:
        transaction.on_commit(lambda: tasks.run_model_job(job.pk))


def cancel(*, job: ModelJob) -> None:
    """End it: at once where no process is at it, else within a second or two."""
    control.cancel(job)


def repeat(*, job: ModelJob) -> None:
    """Start a job again that failed, was cancelled or interrupted."""
    with transaction.atomic():
        if control.requeue(job):
            start(job=job)


def forget(*, job: ModelJob) -> None:
    """Delete the row of a job that is over; what it made stays. Raises JobActive."""
    deleted, _ = ModelJob.objects.ended().filter(pk=job.pk).delete()
    if not deleted:
        raise JobActive(f"Job {job.pk} is not over. Cancel it first, then delete it.")


def _queued(kind: ModelJob.Kind, model: LocalModel, plan: dict[str, object]) -> ModelJob:
    return ModelJob.objects.create(kind=kind, subject=model.name, model=model, plan=plan)


def _require_place(slug: str) -> None:
    require_free(slug, landing.home(slug))
    require_vacant(slug)
