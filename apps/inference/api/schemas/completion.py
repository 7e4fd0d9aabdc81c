"""A text completion, whole or in chunks. Extensions of OpenAI's API are marked.

https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from apps.inference.api.schemas.chat_completion import ChoiceTimings, CompletionUsage


class CompletionLogprobs(BaseModel):
    """Four lists, one item for each token."""

    tokens: list[str] = Field(
        default_factory=list,
        description="A token that is no whole character is written `bytes:\\xe2\\x80`.",
    )
    token_logprobs: list[float | None] = Field(
        default_factory=list, description="Null for a prompt's first token."
    )
    top_logprobs: list[dict[str, float] | None] = Field(
        default_factory=list, description="The likeliest tokens, and the one that came."
    )
    text_offset: list[int] = Field(
        default_factory=list, description="Where in the choice's text the token begins."
    )


class CompletionChoice(BaseModel):
    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None = Field(
        description="Null in all chunks of a stream but a choice's last."
    )
    timings: ChoiceTimings | None = Field(
        default=None, description="Extension. Null in all chunks but a choice's last."
    )


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int = Field(description="Seconds since the epoch.")
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None
