"""An evaluation as JSON: what the REST API takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.jobs.rest import StateName
from apps.training.evaluation.models import Evaluation, Finding
from apps.training.evaluation.plan import MOST_QUESTIONS, MOST_SUBJECTS, Check, Plan, Prompt
from apps.training.evaluation.results import Score, SideBySide, scores
from apps.training.sources import name_of


class EvaluationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: list[str] = Field(
        min_length=1,
        max_length=MOST_SUBJECTS,
        description="Models and adapters, as `model` and `model:adapter`.",
    )
    data: str | None = Field(
        default=None, max_length=200, description="A dataset, as `words` or `words@3`."
    )
    split: Literal["train", "valid", "test"] = "valid"
    loss_rows: int = Field(
        default=100, ge=0, le=100_000, description="Rows for perplexity, evenly spread."
    )
    question_rows: int = Field(
        default=20, ge=0, le=MOST_QUESTIONS, description="Rows whose last answer is written anew."
    )
    prompts: list[Prompt] = Field(default=[], max_length=100)
    max_seq_length: int = Field(default=2048, ge=8, le=1_048_576)
    max_tokens: int = Field(default=256, ge=1, le=8192, description="Of an answer.")
    check: Check = Field(default=Check(), description="What makes an answer count as right.")

    def plan(self) -> Plan:
        """Raises pydantic's ValidationError where nothing is asked."""
        same = self.model_dump(exclude={"models", "data"})
        rows = {} if self.data else {"loss_rows": 0, "question_rows": 0}
        return Plan.model_validate({**same, **rows, "subjects": self.models})


class ScoreOut(BaseModel):
    model: str
    rows: int = Field(description="Whose likelihood is known.")
    tokens: int
    loss: float | None = Field(description="Mean of -ln p over the tokens; null: not measured.")
    perplexity: float | None
    answered: int
    judged: int
    passed: int
    refused: int = Field(description="Rows that could not be asked.")

    @classmethod
    def of(cls, score: Score) -> ScoreOut:
        same = {name: getattr(score, name) for name in cls.model_fields if name != "model"}
        return cls(model=score.name, **same)


class EvaluationOut(BaseModel):
    id: int
    plan: Plan
    dataset: str | None = Field(description="As `words@3`; null: none, or it is deleted.")
    state: StateName
    doing: str
    fraction: float = Field(description="How far it is, from 0.0 to 1.0.")
    error: str
    scores: list[ScoreOut]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, evaluation: Evaluation) -> EvaluationOut:
        same = {name: getattr(evaluation, name) for name in _SAME}
        dataset = name_of(evaluation.dataset) if evaluation.dataset else None
        found = [ScoreOut.of(score) for score in scores(evaluation)]
        return cls.model_validate(same | {"dataset": dataset, "scores": found})


_SAME = (
    "id", "plan", "state", "doing", "fraction", "error", "created_at", "started_at", "finished_at",
)  # fmt: skip


class EvaluationList(BaseModel):
    evaluations: list[EvaluationOut] = Field(description="The newest first.")
    total: int


class AnswerOut(BaseModel):
    model: str
    text: str
    passed: bool | None = Field(description="Null: there is nothing to judge it by.")
    error: str = Field(description="Why it could not be asked.")


class QuestionOut(BaseModel):
    line: int | None = Field(description="In the split's file, from 1; null: a prompt's own.")
    prompt: str = Field(description="The last message.")
    reference: str | None
    answers: list[AnswerOut] = Field(description="Those there are by now.")

    @classmethod
    def of(cls, asked: SideBySide) -> QuestionOut:
        return cls(
            line=asked.question.line,
            prompt=asked.question.asked,
            reference=asked.question.reference,
            answers=[_answer(name, found) for name, found in asked.answers if found is not None],
        )


def _answer(name: str, found: Finding) -> AnswerOut:
    return AnswerOut(model=name, text=found.text, passed=found.passed, error=found.error)


class QuestionList(BaseModel):
    questions: list[QuestionOut]
    total: int
