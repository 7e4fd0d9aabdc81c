"""What makes an answer right."""

from __future__ import annotations

import time

import pytest

from apps.training.evaluation import checks
from apps.training.evaluation.checks import judge_of
from apps.training.evaluation.errors import BadEvaluation
from apps.training.evaluation.plan import Check

SCHEMA = '{"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}}'


@pytest.mark.parametrize(
    ("check", "answer", "reference", "right"),
    [
        (Check(), "anything", "else", None),
        (Check(kind="exact"), " yes\n", "yes", True),
        (Check(kind="exact"), "Yes", "yes", False),
        (Check(kind="exact"), "yes", None, None),
        (Check(kind="regex", text=r"\w+: .+"), "cat: an animal", None, True),
        (Check(kind="regex", text=r"\w+"), "a cat", None, False),
        (Check(kind="json_schema", text=SCHEMA), '{"word": "cat"}', None, True),
        (Check(kind="json_schema", text=SCHEMA), '{"word": 1}', None, False),
        (Check(kind="json_schema", text=SCHEMA), "cat", None, False),
        (Check(kind="json_schema", text=SCHEMA), "[" * 100_000, None, False),
    ],
)
def test_an_answer_is_judged(
    check: Check, answer: str, reference: str | None, right: bool | None
) -> None:
    assert judge_of(check)(answer, reference) is right


@pytest.mark.parametrize(
    "check",
    [
        Check(kind="regex", text="("),
        Check(kind="json_schema", text="{"),
        Check(kind="json_schema", text='{"type": "nothing"}'),
    ],
)
def test_a_check_that_can_not_be_used_is_refused(check: Check) -> None:
    with pytest.raises(BadEvaluation, match="can't be used"):
        judge_of(check)


def test_a_pattern_that_takes_for_ever_does_not_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "REGEX_SECONDS", 0.05)
    begun = time.monotonic()
    assert judge_of(Check(kind="regex", text="(a|aa)+b"))("a" * 60, None) is False
    assert time.monotonic() - begun < 5


def test_a_schema_fetches_nothing() -> None:
    judge = judge_of(Check(kind="json_schema", text='{"$ref": "http://127.0.0.1:9/schema"}'))
    assert judge("{}", None) is False
