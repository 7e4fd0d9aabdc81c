"""A chat completion's request. Extensions of OpenAI's API say so in their description.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid, only
from apps.inference.api.schemas.structure import ResponseFormat, StructuredOutputs

MAX_STOPS = 4
MAX_ANSWERS = 16
"""Of one request (``n``); more would not fit a batch of the default size."""
MAX_BIASED_TOKENS = 1024


class TextPart(StrictRequest):
    type: Annotated[str, only("text")]
    text: str


def _as_parts(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid("Input should be a string or a list of text parts")
    return content


class ChatMessage(StrictRequest):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        list[TextPart], BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart])
    ]
    name: str | None = Field(default=None, description="Accepted; has no effect.")
    # What clients send back when they put an earlier answer into the messages.
    refusal: NotYet = None
    annotations: NotYet = None
    audio: NotYet = None
    function_call: NotYet = None
    tool_calls: NotYet = None
    parsed: Any = None  # the openai client's own reading of a structured answer

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)


class StreamOptions(StrictRequest):
    include_usage: bool = Field(
        default=False, description="Send the usage in a last chunk with no choices."
    )
    include_obfuscation: bool | None = Field(default=None, description="Has no effect.")


def _as_list(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


Stop = Annotated[str, Field(min_length=1)]


def _token_ids(bias: dict[str, float] | None) -> dict[str, float] | None:
    for token, value in (bias or {}).items():
        if not (token.isascii() and token.isdigit()):
            raise invalid(f"{token!r} is no token id. The keys are the ids of tokens.")
        if not -100 <= value <= 100:
            raise invalid(f"The bias of token {token} should be between -100 and 100.")
    return bias


class ChatCompletionRequest(StrictRequest):
    model: str = Field(
        min_length=1,
        description="A model's name or hub repository id; `:` and an adapter's name may follow.",
    )
    messages: list[ChatMessage] = Field(min_length=1)

    # How tokens are chosen.
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Extension. 0 turns it off."
    )
    min_p: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Extension."
    )
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    repetition_penalty: float | None = Field(
        default=None,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="Extension. Above 1 discourages tokens of the prompt and the answer so far.",
    )
    logit_bias: Annotated[dict[str, float] | None, AfterValidator(_token_ids)] = Field(
        default=None, max_length=MAX_BIASED_TOKENS, description="From token id to -100…100."
    )
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)

    # What the answer is to be.
    n: int | None = Field(
        default=None, ge=1, le=MAX_ANSWERS, description="How many answers, made side by side."
    )
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(
        default=None, ge=1, description="Older name of max_completion_tokens, which wins."
    )
    stop: Annotated[
        list[Stop],
        BeforeValidator(_as_list, json_schema_input_type=str | list[str] | None),
        Field(max_length=MAX_STOPS),
    ] = []
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = Field(
        default=None, description="Extension. A schema, pattern, choice or grammar to keep to."
    )

    # How it is told.
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    # How it is served.
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = Field(
        default=None, description="`flex` is batch priority; the others have no effect."
    )
    priority: Literal["interactive", "batch"] | None = Field(
        default=None,
        description="Extension. Batch work is taken up while no interactive request waits.",
    )
    deadline_seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Extension. An answer that is not finished by then ends with a 504.",
    )
    cache_salt: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Extension. Cached prompts and responses are shared within a salt only.",
    )

    # These would change the answer, and are refused where they would.
    tools: NotYet = None
    tool_choice: Annotated[Any, only("none", "auto")] = None
    functions: NotYet = None
    function_call: Annotated[Any, only("none", "auto")] = None
    modalities: Annotated[Any, only(["text"])] = None
    audio: NotYet = None
    web_search_options: NotYet = None
    moderation: NotYet = None

    # These change nothing here.
    metadata: Any = None
    parallel_tool_calls: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    reasoning_effort: Any = None
    safety_identifier: Any = None
    store: Any = None
    user: str | None = None
    verbosity: Any = None

    @field_validator("top_logprobs")
    @classmethod
    def _goes_with_logprobs(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and info.data.get("logprobs") is not True:
            raise invalid("It needs logprobs to be true.")
        return value

    @field_validator("structured_outputs")
    @classmethod
    def _is_the_only_format(
        cls, value: StructuredOutputs | None, info: ValidationInfo
    ) -> StructuredOutputs | None:
        other = info.data.get("response_format")
        if value is not None and other is not None and other.grammar is not None:
            raise invalid("response_format says already what the answer must look like.")
        return value
