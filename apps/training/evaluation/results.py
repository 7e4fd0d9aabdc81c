"""What an evaluation found, added up: a row for each subject, and answers side by side."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, Sum

from apps.training.evaluation.material import Question
from apps.training.evaluation.models import Evaluation, Finding

LARGEST_LOSS = 700.0
"""Its exponential is still a float."""


@dataclass(frozen=True)
class Score:
    """One subject's figures; None where nothing was measured."""

    name: str
    rows: int
    """Whose likelihood is known."""
    tokens: int
    loss: float | None
    """Mean of -ln p over all tokens."""
    answered: int
    judged: int
    passed: int
    refused: int
    """Rows that the engine did not take."""

    @property
    def perplexity(self) -> float | None:
        return None if self.loss is None else math.exp(min(self.loss, LARGEST_LOSS))

    @property
    def share(self) -> float | None:
        """Of the judged answers, those that are right: 0.0 to 1.0."""
        return self.passed / self.judged if self.judged else None


@dataclass(frozen=True)
class SideBySide:
    """One question, and what each subject said; None: not yet."""

    question: Question
    answers: Sequence[tuple[str, Finding | None]]
    """By the subject's name, in the subjects' order."""


def scores(evaluation: Evaluation) -> list[Score]:
    """In the order of the subjects."""
    likely = Q(answers=False, loss__isnull=False)
    rows = (
        Finding.objects.filter(evaluation=evaluation)
        .values("subject")
        .annotate(
            rows=Count("pk", filter=likely),
            weight=Sum("tokens", filter=likely),
            total=Sum(F("loss") * F("tokens"), filter=likely),
            answered=Count("pk", filter=Q(answers=True, error="")),
            judged=Count("pk", filter=Q(passed__isnull=False)),
            passed=Count("pk", filter=Q(passed=True)),
            refused=Count("pk", filter=~Q(error="")),
        )
        .order_by()
    )
    by_subject = {row["subject"]: dict(row) for row in rows}
    return [_score(name, by_subject.get(at, {})) for at, name in enumerate(evaluation.subjects)]


def _score(name: str, row: dict[str, Any]) -> Score:
    tokens = row.get("weight") or 0
    loss = None if not tokens else (row["total"] or 0.0) / tokens
    counts = ("rows", "answered", "judged", "passed", "refused")
    return Score(
        name=name,
        tokens=int(tokens),
        loss=loss,
        **{each: int(row.get(each) or 0) for each in counts},
    )


def side_by_side(evaluation: Evaluation, first: int, end: int) -> list[SideBySide]:
    """The questions from index ``first`` to before ``end``, with the answers there are."""
    found: dict[int, dict[int, Finding]] = defaultdict(dict)
    for finding in evaluation.findings.filter(answers=True, row__range=(first, end - 1)):
        found[finding.row][finding.subject] = finding
    return [
        SideBySide(
            question, [(name, found[row].get(at)) for at, name in enumerate(evaluation.subjects)]
        )
        for row, question in enumerate(evaluation.asked[first:end], start=first)
    ]
