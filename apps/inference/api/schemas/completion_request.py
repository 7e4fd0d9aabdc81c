"""A text completion's request. Extensions of OpenAI's API say so in their description.

https://platform.openai.com/docs/api-reference/completions/create
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from apps.inference.api.schemas.chat_request import MAX_ANSWERS, StreamOptions
from apps.inference.api.schemas.fields import invalid, whole
from apps.inference.api.schemas.sampling import SamplingFields, ServingFields
from apps.inference.api.schemas.structure import StructuredOutputs

MAX_COMPLETIONS = 128
"""Of one request: its prompts times ``n``."""

MAX_LOGPROBS = 5
"""As in OpenAI's API."""

USUAL_TOKENS = 16
"""OpenAI's ``max_tokens`` where a request names none."""

Tokens = tuple[int, ...]

_SHAPES = "Input should be a string, a list of strings, a list of tokens, or a list of such lists."


def as_prompts(given: Any) -> Any:
    """All four shapes as a list of texts and token tuples."""
    if isinstance(given, str) or _is_tokens(given):
        given = [given]
    if not isinstance(given, list) or not given:
        raise invalid(_SHAPES)
    if all(isinstance(each, str) for each in given):
        return given
    if all(_is_tokens(each) for each in given):
        return [tuple(whole(token) for token in each) for each in given]
    raise invalid(_SHAPES)


def _is_tokens(given: Any) -> bool:
    return (
        isinstance(given, list) and bool(given) and all(type(whole(each)) is int for each in given)
    )


TokenIds = Annotated[list[int], Field(min_length=1)]

Texts = Annotated[
    list[Any],
    BeforeValidator(
        as_prompts,
        json_schema_input_type=str
        | Annotated[list[str], Field(min_length=1)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1)],
    ),
]
"""One or several texts, as such or as their tokens: str and tuples of int."""


class CompletionRequest(SamplingFields, ServingFields):
    model: str = Field(
        min_length=1,
        description="A model's name or hub repository id; `:` and an adapter's name may follow.",
    )
    prompt: Texts = Field(description="What to go on from; several are answered side by side.")
    echo: bool | None = Field(default=None, description="Send the prompt before the answer.")
    suffix: str | None = Field(
        default=None,
        description="What follows the answer, for models that can fill in; with one prompt.",
    )
    max_tokens: int | None = Field(
        default=None, ge=0, description="16 by default. 0 only with echo."
    )
    n: int | None = Field(default=None, ge=1, le=MAX_ANSWERS, description="Answers per prompt.")
    best_of: int | None = Field(
        default=None, ge=1, le=MAX_ANSWERS, description="Only as many as n: all are sent."
    )
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LOGPROBS,
        description="How many of the likeliest tokens to tell at each place; with echo, of the "
        "prompt too.",
    )
    structured_outputs: StructuredOutputs | None = Field(
        default=None, description="Extension. A schema, pattern, choice or grammar to keep to."
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    user: str | None = None

    @property
    def answers(self) -> int:
        """Per prompt."""
        return self.n or 1

    @property
    def tokens_wanted(self) -> int:
        """Of each answer, at most."""
        return USUAL_TOKENS if self.max_tokens is None else self.max_tokens

    @field_validator("prompt")
    @classmethod
    def _is_not_too_much(cls, value: list[Any]) -> list[Any]:
        _require_few(len(value))
        return value

    @field_validator("suffix")
    @classmethod
    def _goes_with_one_text(cls, value: str | None, info: ValidationInfo) -> str | None:
        prompts = info.data.get("prompt", [""])
        if value is not None and (len(prompts) > 1 or not isinstance(prompts[0], str)):
            raise invalid("It goes with one prompt that is a string.")
        if value is not None and info.data.get("echo"):
            raise invalid("It does not go together with echo.")
        return value

    @field_validator("max_tokens")
    @classmethod
    def _leaves_something(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value == 0 and not info.data.get("echo"):
            raise invalid("Input should be at least 1 where echo is not true.")
        return value

    @field_validator("n")
    @classmethod
    def _is_not_too_much_of_each(cls, value: int | None, info: ValidationInfo) -> int | None:
        _require_few(len(info.data.get("prompt", ())) * (value or 1))
        return value

    @field_validator("best_of")
    @classmethod
    def _is_n(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value != (info.data.get("n") or 1):
            raise invalid("Input should be n, or left out: the hub sends every answer it makes.")
        return value


def _require_few(answers: int) -> None:
    if answers > MAX_COMPLETIONS:
        raise invalid(
            f"prompt and n ask for {answers} answers; at most {MAX_COMPLETIONS} are made for one "
            "request."
        )
