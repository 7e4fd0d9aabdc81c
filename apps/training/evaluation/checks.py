"""Whether an answer is right: the same as the reference, of a form, or valid by a schema."""

from __future__ import annotations

import json
from collections.abc import Callable

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from apps.training.evaluation.errors import BadEvaluation
from apps.training.evaluation.plan import Check

REGEX_SECONDS = 1.0
"""A pattern may take exponential time on some answer, which then does not match."""

Judge = Callable[[str, str | None], bool | None]
"""Of an answer and its reference whether it is right; None where that can't be said."""


def judge_of(check: Check) -> Judge:
    """Raises BadEvaluation where the check's text is no pattern or no schema."""
    match check.kind:
        case "exact":
            return _is_the_same
        case "regex":
            return _matches(check.text)
        case "json_schema":
            return _validates(check.text)
    return lambda answer, reference: None


def _is_the_same(answer: str, reference: str | None) -> bool | None:
    return None if reference is None else answer.strip() == reference.strip()


def _matches(text: str) -> Judge:
    try:
        pattern = regex.compile(text)
    except regex.error as error:
        raise BadEvaluation(f"The regular expression can't be used: {error}.") from error

    def judge(answer: str, reference: str | None) -> bool:
        try:
            return pattern.fullmatch(answer.strip(), timeout=REGEX_SECONDS) is not None
        except TimeoutError:
            return False

    return judge


def _validates(text: str) -> Judge:
    try:
        schema = json.loads(text)
        Draft202012Validator.check_schema(schema)
    except (ValueError, RecursionError, SchemaError) as error:
        reason = error.message if isinstance(error, SchemaError) else f"{error}"
        raise BadEvaluation(f"The JSON Schema can't be used: {reason}.") from error
    # An empty registry: nothing that a schema refers to is fetched.
    validator = Draft202012Validator(schema, registry=Registry())

    def judge(answer: str, reference: str | None) -> bool:
        try:
            validator.validate(json.loads(answer))
        except (ValueError, RecursionError, ValidationError, Unresolvable):
            return False
        return True

    return judge
