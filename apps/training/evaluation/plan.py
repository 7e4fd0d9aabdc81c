"""What an evaluation asks of whom. Checked once, here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_SUBJECTS = 8
"""Columns that a table can be read with."""

MOST_QUESTIONS = 500
"""Answers of each subject; all of them are kept."""

Prompt = Annotated[str, Field(min_length=1, max_length=20_000)]


class Check(BaseModel):
    """What makes an answer count as right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "exact", "regex", "json_schema"] = "none"
    text: str = Field(
        default="",
        max_length=20_000,
        description="A regular expression that the whole answer matches, or a JSON Schema.",
    )


class Plan(BaseModel):
    """Rows are taken evenly from the whole split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subjects: tuple[str, ...] = Field(min_length=1, max_length=MOST_SUBJECTS)
    """Names as API calls have them; the others are compared with the first."""
    split: Literal["train", "valid", "test"] = "valid"
    loss_rows: int = Field(default=100, ge=0, le=100_000)
    """Rows whose last answers' likelihood is measured."""
    question_rows: int = Field(default=20, ge=0, le=MOST_QUESTIONS)
    """Rows whose last answer is written anew and shown beside it."""
    prompts: tuple[Prompt, ...] = Field(default=(), max_length=100)
    """Asked beside the rows; there is no right answer to compare with."""
    max_seq_length: int = Field(default=2048, ge=8, le=1_048_576)
    """Tokens of a row whose likelihood is measured; what is behind them is left out."""
    max_tokens: int = Field(default=256, ge=1, le=8192)
    """Of an answer."""
    check: Check = Check()

    @field_validator("subjects")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.loss_rows or self.question_rows or self.prompts):
            raise ValueError("Choose rows or write prompts: there is nothing to ask yet.")
        return self
