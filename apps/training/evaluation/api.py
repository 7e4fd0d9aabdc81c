"""Evaluations over REST, under /api/evaluations."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import ValidationError

from apps.inference.api.errors import ErrorResponse, Problem, problem
from apps.training.evaluation import services
from apps.training.evaluation.errors import (
    BadEvaluation,
    EvaluationActive,
    EvaluationError,
    EvaluationNotFound,
)
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

FOUND = {200: EvaluationOut, 404: ErrorResponse}


def evaluation_problem(error: EvaluationError) -> Problem:
    """The answer to what an evaluation refused."""
    match error:
        case EvaluationNotFound():
            return problem(404, str(error), code="evaluation_not_found")
        case EvaluationActive():
            return problem(409, str(error), code="evaluation_active")
        case _:
            return problem(400, str(error), code="evaluation_refused")


@router.get("/evaluations", response=EvaluationList, summary="List evaluations")
def list_evaluations(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
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


@router.get("/evaluations/{int:key}", response=FOUND, summary="One evaluation")
def get_evaluation(request: HttpRequest, key: int) -> EvaluationOut:
    """How far it is, and the figures by now."""
    return EvaluationOut.of(_evaluation(key))


@router.get(
    "/evaluations/{int:key}/answers",
    response={200: QuestionList, 404: ErrorResponse},
    summary="An evaluation's answers",
)
def get_answers(
    request: HttpRequest,
    key: int,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> QuestionList:
    """What each subject said to each question."""
    evaluation = _evaluation(key)
    asked = side_by_side(evaluation, offset, offset + limit)
    return QuestionList(
        questions=[QuestionOut.of(each) for each in asked],
        total=len(evaluation.questions),
    )


@router.post("/evaluations/{int:key}/cancel", response=FOUND, summary="Cancel an evaluation")
def cancel_evaluation(request: HttpRequest, key: int) -> EvaluationOut:
    """A running one ends within a second or two; what is found by then stays."""
    evaluation = _evaluation(key)
    services.cancel(evaluation=evaluation)
    return EvaluationOut.of(evaluation)


@router.post("/evaluations/{int:key}/resume", response=FOUND, summary="Resume an evaluation")
def resume_evaluation(request: HttpRequest, key: int) -> EvaluationOut:
    """Asks what was not asked yet; one that does not stand still stays as it is."""
    evaluation = _evaluation(key)
    services.resume(evaluation=evaluation)
    return EvaluationOut.of(evaluation)


@router.delete(
    "/evaluations/{int:key}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Delete an evaluation",
)
def delete_evaluation(request: HttpRequest, key: int) -> Status[None]:
    """Forgets one that is at nobody's hands."""
    services.delete(evaluation=_evaluation(key))
    return Status(204, None)


def _evaluation(key: int) -> Evaluation:
    """Raises EvaluationNotFound."""
    evaluation = Evaluation.objects.newest_first().filter(pk=min(key, 2**63 - 1)).first()
    if evaluation is None:
        raise EvaluationNotFound(f"There is no evaluation {key}. GET /api/evaluations lists them.")
    return evaluation
