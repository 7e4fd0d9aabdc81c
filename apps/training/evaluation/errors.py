"""What can be wrong with an evaluation.

EvaluationError
├── BadEvaluation     it can't be begun, or gone on with, like this
└── EvaluationActive  it is at work
"""

from __future__ import annotations


class EvaluationError(Exception):
    """``str()`` says what is wrong and what to do."""


class BadEvaluation(EvaluationError):
    """The order can't be carried out."""


class EvaluationActive(EvaluationError):
    """An evaluation that is at work can't be deleted."""
