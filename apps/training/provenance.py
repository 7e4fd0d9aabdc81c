"""What training tells of what it made."""

from __future__ import annotations

from typing import Any

import yaml
from django.db.models import Min
from django.dispatch import receiver

from apps.models.models import Adapter, LocalModel
from apps.models.provenance import Provenance
from apps.models.signals import provenance_asked
from apps.training.models import Metric, TrainingJob
from apps.training.trainer.mlx_lm_yaml import write_yaml

_OF_THIS_MACHINE = ("model", "data", "adapter_path", "resume_adapter_file", "prompts")
"""Settings that say where things lie here, or hold what somebody wrote."""

METHODS = {"lora": "LoRA", "dora": "DoRA", "full": "full fine-tuning"}


@receiver(provenance_asked, sender=LocalModel)
def tell_of_training(
    sender: type[LocalModel], model: LocalModel, adapter: Adapter | None, **kwargs: Any
) -> Provenance | None:
    """The newest job that made it."""
    made = {"result": model} if adapter is None else {"adapter": adapter}
    job = TrainingJob.objects.newest_first().filter(**made).first()
    if job is None:
        return None
    return Provenance(
        method=METHODS[job.config.method],
        data=job.dataset.dataset.name if job.dataset else "a local folder",
        settings=_settings(job),
        figures=list(_figures(job)),
    )


def _settings(job: TrainingJob) -> str:
    settings = yaml.safe_load(write_yaml(job.config))
    kept = {name: value for name, value in settings.items() if name not in _OF_THIS_MACHINE}
    text: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    return text


def _figures(job: TrainingJob) -> list[tuple[str, str]]:
    figures = [("Steps", f"{job.step:,}")]
    if job.facts:
        figures.append(("Training rows", f"{job.facts['rows']:,}"))
    loss = Metric.objects.series(job, Metric.Name.LOSS).last()
    if loss is not None:
        figures.append(("Last training loss", f"{loss.value:.4f}"))
    validation = Metric.objects.series(job, Metric.Name.VALIDATION)
    best = validation.aggregate(best=Min("value"))["best"]
    if best is not None:
        figures.append(("Best validation loss", f"{best:.4f}"))
    if job.test:
        figures.append(("Test loss", f"{job.test['loss']:.4f}"))
    return figures
