"""A chat completion's request. Extensions of OpenAI's API say so in their description.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
)

from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid, only
from apps.inference.api.schemas.sampling import SamplingFields, ServingFields
from apps.inference.api.schemas.structure import ResponseFormat, StructuredOutputs
from apps.inference.api.schemas.tools import (
    MAX_TOOLS,
    ChatTool,
    MessageToolCall,
    ToolChoice,
    checked_choice,
    checked_tools,
)

MAX_ANSWERS = 16
"""Of one request (``n``); more would not fit a batch of the default size."""


class TextPart(StrictRequest):
    type: Annotated[str, only("text")]
    text: str


def _as_parts(content: Any, info: ValidationInfo) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is None and info.data.get("role") == "assistant" and info.data.get("tool_calls"):
        return []
    if not isinstance(content, list):
        raise invalid("Input should be a string or a list of text parts")
    return content


def _not_the_older_form(role: Any) -> Any:
    if role == "function":
        raise invalid("Results of calls have the role tool, and the tool_call_id of their call.")
    return role


class ChatMessage(StrictRequest):
    role: Annotated[
        Literal["system", "developer", "user", "assistant", "tool"],
        BeforeValidator(_not_the_older_form),
    ]
    tool_calls: list[MessageToolCall] | None = Field(
        default=None, description="What the assistant called in this turn."
    )
    content: Annotated[
        list[TextPart],
        BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart] | None),
    ] = Field(default=None, validate_default=True)
    tool_call_id: str | None = Field(
        default=None, validate_default=True, description="Whose result a tool message is."
    )
    reasoning_content: str | None = Field(
        default=None, description="Extension. What the model thought before this answer."
    )
    name: str | None = Field(default=None, description="Of a tool; elsewhere it has no effect.")
    # What clients send back when they put an earlier answer into the messages.
    refusal: NotYet = None
    annotations: NotYet = None
    audio: NotYet = None
    function_call: NotYet = None
    parsed: Any = None  # the openai client's own reading of a structured answer

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)

    @field_validator("tool_calls")
    @classmethod
    def _are_the_assistants(
        cls, value: list[MessageToolCall] | None, info: ValidationInfo
    ) -> list[MessageToolCall] | None:
        if value and info.data.get("role") != "assistant":
            raise invalid("Only an assistant's message has calls.")
        return value

    @field_validator("tool_call_id")
    @classmethod
    def _goes_with_a_result(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is not None) != (info.data.get("role") == "tool"):
            raise invalid("A message with the role tool has it, and no other.")
        return value


class StreamOptions(StrictRequest):
    include_usage: bool = Field(
        default=False, description="Send the usage in a last chunk with no choices."
    )
    include_obfuscation: bool | None = Field(default=None, description="Has no effect.")


class ChatCompletionRequest(SamplingFields, ServingFields):
    model: str = Field(
        min_length=1,
        description="A model's name or hub repository id; `:` and an adapter's name may follow.",
    )
    messages: list[ChatMessage] = Field(min_length=1)

    # What the answer is to be.
    n: int | None = Field(
        default=None, ge=1, le=MAX_ANSWERS, description="How many answers, made side by side."
    )
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(
        default=None, ge=1, description="Older name of max_completion_tokens, which wins."
    )
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

    # What the model may call.
    tools: Annotated[list[ChatTool] | None, AfterValidator(checked_tools)] = Field(
        default=None, max_length=MAX_TOOLS
    )
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = Field(
        default=None, description="False: one call in an answer at most."
    )

    # How the prompt is made.
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, description="Told to the model's template; `none` turns reasoning off."
    )
    chat_template_kwargs: dict[str, JsonValue] | None = Field(
        default=None, description="Extension. More variables for the model's chat template."
    )

    # These would change the answer, and are refused where they would.
    functions: NotYet = None
    function_call: Annotated[Any, only("none", "auto")] = None
    modalities: Annotated[Any, only(["text"])] = None
    audio: NotYet = None
    web_search_options: NotYet = None
    moderation: NotYet = None

    # These change nothing here.
    metadata: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
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

    @field_validator("tool_choice")
    @classmethod
    def _can_be_made(cls, value: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
        return checked_choice(value, info.data.get("tools"))

    @field_validator("structured_outputs")
    @classmethod
    def _is_the_only_format(
        cls, value: StructuredOutputs | None, info: ValidationInfo
    ) -> StructuredOutputs | None:
        other = info.data.get("response_format")
        if value is not None and other is not None and other.grammar is not None:
            raise invalid("response_format says already what the answer must look like.")
        return value
