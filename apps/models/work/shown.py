"""A job's order and figures as pages and terminals show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from apps.models.runtime.work.events import Figures, Measured
from apps.models.sizes import readable
from apps.models.work.models import ModelJob
from apps.models.work.plans import ConvertPlan, ExportPlan, FusePlan, ImportPlan

Fact = tuple[str, str]
"""A name and its value."""


@dataclass(frozen=True)
class Comparison:
    """One figure before and after."""

    label: str
    before: str
    after: str
    change: str
    """Such as "-72%"; empty where there is none to tell."""


def facts_of(job: ModelJob) -> list[Fact]:
    """What was ordered."""
    match _plan(job):
        case ImportPlan() as plan:
            return [("Into", plan.name), ("From", str(plan.path))]
        case ConvertPlan() as plan:
            return [("Into", plan.name), ("How", plan.how)]
        case FusePlan() as plan:
            kept = "unpacked" if plan.dequantize else "packed as its base is"
            return [("Adapter", plan.adapter), ("Into", plan.name), ("Result", kept)]
        case ExportPlan() as plan:
            return [("Format", plan.format), ("To", plan.destination)]
        case _:
            return []


def figures_of(job: ModelJob) -> list[Comparison]:
    """What a conversion or fusion changed; nothing for other jobs."""
    figures = _figures(job)
    if figures is None or figures.before is None or figures.after is None:
        return []
    return [_compared(label, field, figures.before, figures.after) for label, field in _ROWS]


def notes_of(job: ModelJob) -> list[str]:
    """Why something was not measured; empty where all was."""
    figures = _figures(job)
    measured = (figures.before, figures.after) if figures else ()
    return [one.note for one in measured if one is not None and one.note]


_ROWS = (
    ("Size of the weights", "size_bytes"),
    ("Bits per weight", "bits_per_weight"),
    ("Perplexity", "perplexity"),
    ("Tokens per second", "tokens_per_second"),
)


def _compared(label: str, field: str, before: Measured, after: Measured) -> Comparison:
    first, second = getattr(before, field), getattr(after, field)
    return Comparison(label, _shown(field, first), _shown(field, second), _change(first, second))


def _change(first: float | None, second: float | None) -> str:
    if not first or not second:
        return ""
    share = round(second / first - 1, 3)
    return f"{share:+.1%}" if share else "none"


def _shown(field: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    return readable(value) if field == "size_bytes" else f"{value:,.2f}"


def _figures(job: ModelJob) -> Figures | None:
    if job.kind not in (ModelJob.Kind.CONVERT, ModelJob.Kind.FUSE) or not job.figures:
        return None
    return Figures.model_validate(job.figures)


def _plan(job: ModelJob) -> BaseModel | None:
    plans: dict[str, type[BaseModel]] = {
        ModelJob.Kind.IMPORT: ImportPlan,
        ModelJob.Kind.CONVERT: ConvertPlan,
        ModelJob.Kind.FUSE: FusePlan,
        ModelJob.Kind.EXPORT: ExportPlan,
    }
    kind: Any = plans.get(job.kind)
    return None if kind is None else kind.model_validate(job.plan)
