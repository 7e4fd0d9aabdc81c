"""Jobs that make a new model of the hub's own: conversions and fusions."""

from __future__ import annotations

import shutil
from pathlib import Path

from apps.jobs.conduct import Report
from apps.models import landing
from apps.models.errors import NameTaken, WorkFailed
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.work.orders import ConvertOrder, FuseOrder, Order
from apps.models.services import Lineage, adopt_folder, require_free, require_vacant
from apps.models.work.models import ModelJob
from apps.models.work.plans import ConvertPlan, FusePlan
from apps.models.work.process import carry_out

WORK_SHARE = 0.95
"""Of the progress; the digest of the result is the rest."""


def convert(job: ModelJob, report: Report) -> None:
    """The work of a conversion. Raises RuntimeFault, RegistryError."""
    plan, model = ConvertPlan.model_validate(job.plan), model_of(job)
    order = ConvertOrder(
        source=Path(model.path),
        destination=landing.waiting(plan.slug),
        quantization=plan.quantization,
        dtype=plan.dtype,
        measure=plan.measure,
    )
    lineage = Lineage(model, plan.how)
    _make(job, order, plan, lineage, LocalModel.Source.CONVERTED, report)


def fuse(job: ModelJob, report: Report) -> None:
    """The work of a fusion. Raises RuntimeFault, RegistryError."""
    plan, model = FusePlan.model_validate(job.plan), model_of(job)
    adapter = Adapter.objects.named(model, plan.adapter).first()
    if adapter is None:
        raise WorkFailed(
            f"The adapter {plan.adapter!r} over {model.name} is not in the registry any more. "
            "Choose another one."
        )
    order = FuseOrder(
        source=Path(model.path),
        adapter=Path(adapter.path),
        destination=landing.waiting(plan.slug),
        dequantize=plan.dequantize,
        measure=plan.measure,
    )
    lineage = Lineage(model, f"fused with {adapter.name}"[:200], adapter)
    _make(job, order, plan, lineage, LocalModel.Source.FUSED, report)


def model_of(job: ModelJob) -> LocalModel:
    """The model that the job works on. Raises WorkFailed where it was deleted."""
    model = LocalModel.objects.filter(pk=job.model_id or 0).first()
    if model is None:
        raise WorkFailed(f"{job.subject} was deleted before the job began. Choose another model.")
    return model


def _make(
    job: ModelJob,
    order: Order,
    plan: ConvertPlan | FusePlan,
    lineage: Lineage,
    source: LocalModel.Source,
    report: Report,
) -> None:
    """Carry out ``order`` beside the registry, then let the folder and its row appear together."""
    require_free(plan.slug, landing.home(plan.slug))
    with landing.exclusive(plan.slug):
        if LocalModel.objects.filter(slug=plan.slug).exists():
            raise NameTaken(f"A model named {plan.slug!r} exists already. Choose another name.")
        require_vacant(plan.slug)
        figures = carry_out(order, lambda doing, done: report(doing, done * WORK_SHARE))
        try:
            job.result = adopt_folder(
                files=order.destination,
                slug=plan.slug,
                name=plan.name,
                source=source,
                lineage=lineage,
                progress=lambda doing, done: report(doing, WORK_SHARE + done * (1 - WORK_SHARE)),
            )
        except BaseException:
            shutil.rmtree(order.destination, ignore_errors=True)
            raise
    job.figures = figures.model_dump(mode="json")
    job.save(update_fields=["result", "figures"])
