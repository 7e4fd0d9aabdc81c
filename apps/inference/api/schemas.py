"""OpenAI's chat completions and models, as JSON.

https://platform.openai.com/docs/api-reference/chat

Requests are strict: a wrong type, an unknown field, or a field that asks for
something the hub can't do yet is refused by name. Fields that change nothing in
the answer are taken and ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_STOPS = 4


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _unsupported(message: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported", "{reason}", {"reason": message})


def _only(*harmless: Any) -> AfterValidator:
    """Takes None, empty values and ``harmless`` ones: those ask for nothing."""

    def check(value: Any) -> Any:
        if value in (None, [], {}) or value in harmless:
            return value
        raise _unsupported("The hub does not support this yet. Leave the field out.")

    return AfterValidator(check)


NotYet = Annotated[Any, _only()]


# --- request ----------------------------------------------------------------


class TextPart(_Request):
    type: Annotated[str, _only("text")]
    text: str


def _as_parts(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise PydanticCustomError(
            "content_type", "Input should be a string or a list of text parts"
        )
    return content


class ChatMessage(_Request):
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

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)


class StreamOptions(_Request):
    include_usage: bool = Field(
        default=False, description="Send the usage in a last chunk with no choices."
    )
    include_obfuscation: bool | None = Field(default=None, description="Has no effect.")


def _as_list(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


Stop = Annotated[str, Field(min_length=1)]


class ChatCompletionRequest(_Request):
    model: str = Field(min_length=1, description="A model's name or hub repository id.")
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Extension. 0 turns it off."
    )
    min_p: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Extension."
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
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    # These would change the answer, and are refused where they would.
    n: Annotated[int | None, _only(1)] = None
    logprobs: Annotated[bool | None, _only(False)] = None
    top_logprobs: Annotated[int | None, _only(0)] = None
    frequency_penalty: Annotated[float | None, _only(0.0)] = None
    presence_penalty: Annotated[float | None, _only(0.0)] = None
    logit_bias: NotYet = None
    response_format: Annotated[Any, _only({"type": "text"})] = None
    tools: NotYet = None
    tool_choice: Annotated[Any, _only("none", "auto")] = None
    functions: NotYet = None
    function_call: Annotated[Any, _only("none", "auto")] = None
    modalities: Annotated[Any, _only(["text"])] = None
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
    service_tier: Any = None
    store: Any = None
    user: str | None = None
    verbosity: Any = None


# --- answer -----------------------------------------------------------------


class PromptTokensDetails(BaseModel):
    cached_tokens: int = Field(description="Prompt tokens whose KV was already computed.")


class CompletionUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    index: int = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Seconds since the epoch.")
    model: str
    choices: list[Choice]
    usage: CompletionUsage


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since the epoch.")
    owned_by: str
    context_length: int = Field(description="Extension: longest context, in tokens.")


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]
