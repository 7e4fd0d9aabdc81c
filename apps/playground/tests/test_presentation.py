"""Numbers in words."""

from __future__ import annotations

import pytest

from apps.playground.models import Message
from apps.playground.presentation import metrics_line


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {
                "ttft": 0.416,
                "tokens_per_second": 38.2,
                "completion_tokens": 512,
                "prompt_tokens": 1310,
                "cached_tokens": 1024,
            },
            "TTFT 0.42 s · 38 tok/s · 512 out · 1,024/1,310 cached",
        ),
        ({"ttft": 2.0, "tokens_per_second": 6.27}, "TTFT 2.00 s · 6.3 tok/s"),
        ({"prompt_tokens": 12}, "0/12 cached"),
        ({}, ""),
    ],
)
def test_an_answer_is_measured_by_what_is_known(fields: dict[str, float], line: str) -> None:
    assert metrics_line(Message(**fields)) == line
