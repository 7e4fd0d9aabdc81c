"""Ordering, ending, repeating and forgetting evaluations."""

from __future__ import annotations

from django.db import transaction

from apps.datasets.models import Dataset, DatasetVersion
from apps.inference.services import resolve_model
from apps.jobs import control
from apps.training.evaluation import tasks
from apps.training.evaluation.checks import judge_of
from apps.training.evaluation.errors import BadEvaluation, EvaluationActive
from apps.training.evaluation.material import (
    Question,
    lines_of,
    question_from,
    question_of,
    rows_of,
)
from apps.training.evaluation.models import Evaluation
from apps.training.evaluation.plan import Plan


def order(*, plan: Plan, version: DatasetVersion | None) -> Evaluation:
    """A queued evaluation; which rows are asked is settled here.

    Raises BadEvaluation, and ModelNotFound for a subject that there is not.
    """
    for name in plan.subjects:
        resolve_model(name)
    judge_of(plan.check)
    if version is None and (plan.loss_rows or plan.question_rows):
        raise BadEvaluation("Name the data whose rows are to be asked, or ask for no rows.")
    questions = [question_from(prompt) for prompt in plan.prompts]
    lines: list[int] = []
    if version is not None:
        lines = lines_of(version.folder, plan.split, plan.loss_rows)
        questions += _questions(version, plan)
    if not (lines or questions):
        raise BadEvaluation(
            "None of the rows is a conversation that ends in an answer, so there is nothing to "
            "ask. Ask for the likelihood of rows, or write prompts."
        )
    return Evaluation.objects.create(
        plan=plan.model_dump(mode="json"),
        dataset=version,
        questions=[question.model_dump(mode="json") for question in questions],
        lines=lines,
    )


def version_named(text: str) -> DatasetVersion:
    """``words`` and ``words@3`` are a dataset's present and third version.

    Raises DatasetNotFound, and BadEvaluation where it has no rows that can be read as such.
    """
    slug, at, number = text.strip().partition("@")
    if at and not (number.isdecimal() and len(number) < 10):
        raise BadEvaluation(f"{text!r} is no dataset: write its name, as `words` or `words@3`.")
    version = Dataset.objects.named(slug).version(int(number) if at else None)
    if version.kind == DatasetVersion.Kind.UNMAPPED:
        raise BadEvaluation(f"{version} has no roles yet. Map its columns first.")
    return version


def start(*, evaluation: Evaluation) -> None:
    """Have the worker run it once the transaction is committed."""
    transaction.on_commit(lambda: tasks.run_evaluation(evaluation.pk))


def cancel(*, evaluation: Evaluation) -> None:
    """End it; what is found by then stays."""
    control.cancel(evaluation)


def resume(*, evaluation: Evaluation) -> None:
    """Ask what was not asked yet."""
    with transaction.atomic():
        if control.requeue(evaluation):
            start(evaluation=evaluation)


def delete(*, evaluation: Evaluation) -> None:
    """Forget one that is at nobody's hands. Raises EvaluationActive."""
    active = Evaluation.objects.active()
    deleted, _ = Evaluation.objects.exclude(pk__in=active).filter(pk=evaluation.pk).delete()
    if not deleted:
        raise EvaluationActive(f"{evaluation} is at work. Cancel it first, then delete it.")


def _questions(version: DatasetVersion, plan: Plan) -> list[Question]:
    lines = lines_of(version.folder, plan.split, plan.question_rows)
    asked = (question_of(index, row) for index, row in rows_of(version.folder, plan.split, lines))
    return [question for question in asked if question is not None]
