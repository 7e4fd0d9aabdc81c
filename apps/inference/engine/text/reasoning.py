"""Reasoning spans: what a model thinks before it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from apps.inference.engine.text.tools.detect import template_source

Beginning = Literal["open", "possible", "none"]
"""Of an answer: inside a span that the prompt opened, perhaps with one, or without."""


@dataclass(frozen=True)
class ReasoningMarks:
    """What a model writes around its thoughts."""

    start: str
    end: str

    def beginning(self, prompt: str) -> Beginning:
        """How an answer to the rendered ``prompt`` begins.

        Some templates open the span themselves; some write an empty one where the model
        is not to think.
        """
        ending = prompt.rstrip()
        if ending.endswith(self.start):
            return "open"
        return "none" if ending.endswith(self.end) else "possible"


def reasoning_marks(tokenizer: Any) -> ReasoningMarks | None:
    """The marks of a model with this tokenizer, mlx-lm's wrapper; None where it has none."""
    if tokenizer.has_thinking:
        return ReasoningMarks(tokenizer.think_start, tokenizer.think_end)
    source = template_source(tokenizer)
    if "<think>" in source or "</think>" in source:
        return ReasoningMarks("<think>", "</think>")
    return None
