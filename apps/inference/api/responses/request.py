"""What POST /v1/responses takes. https://platform.openai.com/docs/api-reference/responses/create"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from apps.inference.api.responses.items import InputItem
from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid, only
from apps.inference.api.schemas.tagged import ByType, of_type, only_type

MAX_METADATA = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
"""Entries, and characters of each key and value, as in OpenAI's API."""

Include = Literal[
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
]
LOGPROBS = "message.output_text.logprobs"


class FunctionTool(StrictRequest):
    """A function that the caller runs. Tools that OpenAI runs are refused by name."""

    type: Literal["function"]
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(
        default=None, description="Refuse a schema that can't be enforced whole."
    )
    defer_loading: Annotated[Any, only(False)] = None


class NamedFunction(StrictRequest):
    type: Literal["function"]
    name: str


class AllowedTools(StrictRequest):
    """Some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[Annotated[NamedFunction, only_type("function")]] = Field(min_length=1)


class Mode(StrictRequest):
    """``"auto"`` and its like, told apart by their type as the others are."""

    type: Literal["none", "auto", "required"]


def _as_object(choice: Any) -> Any:
    return {"type": choice} if isinstance(choice, str) else choice


Choice = Annotated[
    Annotated[Mode, of_type("none")]
    | Annotated[Mode, of_type("auto")]
    | Annotated[Mode, of_type("required")]
    | Annotated[NamedFunction, of_type("function")]
    | Annotated[AllowedTools, of_type("allowed_tools")],
    ByType("none", "auto", "required", "function", "allowed_tools"),
]


class PlainFormat(StrictRequest):
    type: Literal["text", "json_object"]


class JsonSchemaFormat(StrictRequest):
    type: Literal["json_schema"]
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = Field(
        default=None, description="Has no effect: a schema is always enforced."
    )


Format = Annotated[
    Annotated[PlainFormat, of_type("text")]
    | Annotated[PlainFormat, of_type("json_object")]
    | Annotated[JsonSchemaFormat, of_type("json_schema")],
    ByType("text", "json_object", "json_schema"),
]


class TextConfig(StrictRequest):
    format: Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = Field(
        default=None, description="Has no effect."
    )


class ReasoningConfig(StrictRequest):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None, description="Handed to the chat template, where that knows it."
    )
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None, description="Has no effect: all of the reasoning is told."
    )
    generate_summary: Any = Field(default=None, description="Older name of summary.")


class StreamOptions(StrictRequest):
    include_obfuscation: bool | None = Field(default=None, description="Has no effect.")


def _as_items(given: Any) -> Any:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        raise invalid("Input should be a string or a list of items")
    return given


def _metadata(metadata: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (metadata or {}).items():
        if len(key) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
            raise invalid(
                f"Keys have up to {MAX_METADATA_KEY} characters, values up to {MAX_METADATA_VALUE}."
            )
    return metadata


MetadataValue = Annotated[str, WithJsonSchema({"type": "string", "maxLength": MAX_METADATA_VALUE})]


class ResponseRequest(StrictRequest):
    model: str = Field(
        min_length=1,
        description="A model's name or hub repository id; `:` and an adapter's name may follow.",
    )
    input: Annotated[
        list[InputItem],
        BeforeValidator(_as_items, json_schema_input_type=str | list[InputItem]),
    ] = []
    instructions: str | None = Field(
        default=None, description="A system message before all else; not carried over."
    )
    previous_response_id: str | None = Field(default=None, min_length=1, max_length=200)
    store: bool | None = Field(default=None, description="Keep the response; by default it is.")

    # How tokens are chosen.
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    # What the answer is to be.
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    tools: list[Annotated[FunctionTool, only_type("function")]] | None = None
    tool_choice: Annotated[
        Choice | None,
        BeforeValidator(
            _as_object,
            json_schema_input_type=Literal["none", "auto", "required"]
            | NamedFunction
            | AllowedTools
            | None,
        ),
    ] = None
    parallel_tool_calls: bool | None = None

    # How it is told.
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    include: list[Include] | None = None

    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = Field(
        default=None, description="`flex` is batch priority; the others have no effect."
    )

    # These would change the answer, and are refused where they would.
    background: Annotated[Any, only(False)] = None
    conversation: NotYet = None
    prompt: NotYet = None
    truncation: Annotated[Any, only("disabled")] = None
    context_management: NotYet = None
    moderation: NotYet = None
    access_programs: NotYet = None
    background_options: NotYet = None

    # These change nothing here; some are told back.
    metadata: Annotated[dict[str, MetadataValue] | None, AfterValidator(_metadata)] = Field(
        default=None,
        max_length=MAX_METADATA,
        json_schema_extra={"propertyNames": {"maxLength": MAX_METADATA_KEY}},
    )
    max_tool_calls: int | None = Field(default=None, ge=1, description="Of tools there are none.")
    image: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: str | None = None
    user: str | None = None

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, tools: list[FunctionTool] | None) -> list[FunctionTool] | None:
        names = [tool.name for tool in tools or []]
        if len(set(names)) < len(names):
            raise invalid("Two tools have the same name.")
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _is_among_the_tools(cls, choice: Any, info: ValidationInfo) -> Any:
        names = {tool.name for tool in info.data.get("tools") or []}
        wanted = {choice.name} if isinstance(choice, NamedFunction) else set()
        if isinstance(choice, AllowedTools):
            wanted = {tool.name for tool in choice.tools}
        if missing := wanted - names:
            raise invalid(f"Not among the tools: {', '.join(sorted(missing))}.")
        if isinstance(choice, Mode) and choice.type == "required" and not names:
            raise invalid("There are no tools to choose from.")
        return choice

    @property
    def keeps(self) -> bool:
        return self.store is not False

    @property
    def logprobs(self) -> int | None:
        """How many likely tokens to tell at each place; None where nothing is to be told."""
        if self.top_logprobs:
            return self.top_logprobs
        return 0 if LOGPROBS in (self.include or []) else None
