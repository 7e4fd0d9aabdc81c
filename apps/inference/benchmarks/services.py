"""Starting, cancelling and deleting benchmark runs."""

from __future__ import annotations

from django.db import transaction

from apps.inference.benchmarks import tasks
from apps.inference.benchmarks.measuring.address import base_url
from apps.inference.benchmarks.measuring.measure import steps
from apps.inference.benchmarks.measuring.plan import Plan
from apps.inference.benchmarks.measuring.targets import parameters_in_name
from apps.inference.models import BenchmarkRun
from apps.inference.services import resolve_model
from apps.jobs import control
from apps.models.models import LocalModel


class StillActive(Exception):
    """A run that is not over can't be deleted."""


def create(*, model_name: str, url: str = "", plan: Plan) -> BenchmarkRun:
    """A queued run; ``url`` empty for this hub.

    Raises ModelNotFound, and BadAddress where ``url`` can't be used.
    """
    run = BenchmarkRun(plan=plan.model_dump(mode="json"), steps_total=steps(plan))
    if url:
        local = LocalModel.objects.named(model_name).first()
        run.base_url, run.model_name = base_url(url), model_name
        run.parameters = local.parameters if local else parameters_in_name(model_name)
    else:
        named = resolve_model(model_name)
        run.model_name, run.model_digest = named.name, named.model.digest
        run.parameters = named.model.parameters
    run.save()
    return run


def start(*, model_name: str, url: str = "", plan: Plan) -> BenchmarkRun:
    """``create``, and have the worker run it."""
    with transaction.atomic():
        run = create(model_name=model_name, url=url, plan=plan)
        transaction.on_commit(lambda: tasks.run_benchmark(run.pk))
    return run


def cancel(*, run: BenchmarkRun) -> None:
    """End a queued run now, and have a running one end within a second or two."""
    control.cancel(run)


def delete(*, run: BenchmarkRun) -> None:
    """Forget a run that is over. Raises StillActive."""
    deleted, _ = BenchmarkRun.objects.ended().filter(pk=run.pk).delete()
    if not deleted:
        raise StillActive(f"Benchmark {run.pk} is not over. Cancel it first, then delete it.")
