"""Thoughts are told from answers, however a template marks them."""

from __future__ import annotations

import pytest

from apps.playground.thinking import split_thinking


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("Paris.", "", "Paris."),
        ("<think>France.</think>\n\nParis.", "France.", "Paris."),
        ("\n<think>\nFrance.\n</think>Paris.", "France.", "Paris."),
        ("France.\n</think>\n\nParis.", "France.", "Paris."),
        ("<think>France", "France", ""),
        ("Write <think> to think.", "", "Write <think> to think."),
    ],
)
def test_thoughts_are_told_from_the_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)
