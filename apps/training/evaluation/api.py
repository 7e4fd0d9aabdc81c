"""Evaluations over REST, under /api/evaluations."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import ValidationError

from apps.inference.api.errors import ErrorResponse, Problem, problem
from apps.jobs.rest import JobRoutes, Limit, Offset
from apps.training.evaluation import services
from apps.training.evaluation.errors import BadEvaluation, EvaluationActive, EvaluationError
from apps.training.evaluation.models import Evaluation
from apps.training.evaluation.results import side_by_side
from apps.training.evaluation.schemas import (
    EvaluationList,
    EvaluationOut,
    EvaluationRequest,
    QuestionList,
    QuestionOut,
)

router = Router(tags=["Evaluations"])

jobs = JobRoutes(
    router,
    "/evaluations",
    rows=Evaluation.objects.newest_first,
    out=EvaluationOut,
    fault=ErrorResponse,
    called="evaluation",
    code="evaluation_not_found",
)


def evaluation_problem(error: EvaluationError) -> Problem:
    """The answer to what an evaluation refused."""
    match error:
        case EvaluationActive():
            return problem(409, str(error), code="evaluation_active")
        case _:
            return problem(400, str(error), code="evaluation_refused")


@router.get("/evaluations", response=EvaluationList, summary="List evaluations")
def list_evaluations(
    request: HttpRequest,
    limit: Limit = 50,
    offset: Offset = 0,
) -> EvaluationList:
    """The newest first, with the figures there are."""
    found = Evaluation.objects.listed()
    page = found[offset : offset + limit]
    return EvaluationList(
        evaluations=[EvaluationOut.of(each) for each in page], total=found.count()
    )


@router.post(
    "/evaluations",
    response={201: EvaluationOut, (400, 404): ErrorResponse},
    summary="Start an evaluation",
)
def start_evaluation(request: HttpRequest, payload: EvaluationRequest) -> Status[EvaluationOut]:
    """Asks models and adapters the same, through the engine, one evaluation after another."""
    try:
        version = services.version_named(payload.data) if payload.data else None
        evaluation = services.order(plan=payload.plan(), version=version)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadEvaluation(reason) from error
    services.start(evaluation=evaluation)
    return Status(201, EvaluationOut.of(evaluation))


@jobs.show(summary="One evaluation")
def get_evaluation(evaluation: Evaluation) -> EvaluationOut:
    """How far it is, and the figures by now."""
    return EvaluationOut.of(evaluation)


@router.get(
    "/evaluations/{int:key}/answers",
    response={200: QuestionList, 404: ErrorResponse},
    summary="An evaluation's answers",
)
def get_answers(
    request: HttpRequest,
    key: int,
    limit: Limit = 50,
    offset: Offset = 0,
) -> QuestionList:
    """What each subject said to each question."""
    evaluation = jobs.numbered(key)
    asked = side_by_side(evaluation, offset, offset + limit)
    return QuestionList(
        questions=[QuestionOut.of(each) for each in asked],
        total=len(evaluation.questions),
    )


@jobs.action("cancel", summary="Cancel an evaluation")
def cancel_evaluation(evaluation: Evaluation) -> None:
    """A running one ends within a second or two; what is found by then stays."""
    services.cancel(evaluation=evaluation)


@jobs.action("resume", summary="Resume an evaluation")
def resume_evaluation(evaluation: Evaluation) -> None:
    """Asks what was not asked yet; one that does not stand still stays as it is."""
    services.resume(evaluation=evaluation)


@jobs.removal(summary="Delete an evaluation")
def delete_evaluation(evaluation: Evaluation) -> None:
    """Forgets one that is at nobody's hands."""
    services.delete(evaluation=evaluation)
