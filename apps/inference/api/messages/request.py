"""What POST /v1/messages and its count_tokens take.

https://docs.anthropic.com/en/api/messages
https://docs.anthropic.com/en/api/messages-count-tokens
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from apps.inference.api.messages.content import (
    CacheControl,
    Content,
    TextBlock,
    Texts,
    ToolResultBlock,
    ToolUseBlock,
)
from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid, only
from apps.inference.api.schemas.tagged import ByType, of_type, only_type

MAX_STOP_SEQUENCES = 16
LEAST_THINKING_BUDGET = 1024

_USER_BLOCKS = (TextBlock, ToolResultBlock)


class MessageParam(StrictRequest):
    role: Literal["user", "assistant", "system"]
    content: Content

    @field_validator("content")
    @classmethod
    def _fits_its_role(cls, content: Content, info: ValidationInfo) -> Content:
        role = info.data.get("role")
        for block in content:
            if role == "user" and not isinstance(block, _USER_BLOCKS):
                raise invalid(f"A user's message takes no {block.type}.")
            if role == "assistant" and isinstance(block, ToolResultBlock):
                raise invalid("Results of tools belong into the user's message after the call.")
            if role == "system" and not isinstance(block, TextBlock):
                raise invalid(f"A system message takes no {block.type}.")
        return content


class Tool(StrictRequest):
    """A tool that the caller runs. Tools that Anthropic runs are refused by name."""

    type: Literal["custom"] | None = None
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    description: str | None = None
    input_schema: dict[str, Any]
    cache_control: CacheControl | None = None
    strict: bool | None = Field(
        default=None, description="Refuse a schema that can't be enforced whole."
    )
    input_examples: list[dict[str, Any]] | None = Field(default=None, description="Has no effect.")
    eager_input_streaming: bool | None = Field(default=None, description="Has no effect.")
    defer_loading: Annotated[Any, only(False)] = None
    allowed_callers: Annotated[Any, only(["direct"])] = None


CustomTool = Annotated[Tool, only_type("custom", default="custom")]


class ToolChoiceAuto(StrictRequest):
    type: Literal["auto", "any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceTool(StrictRequest):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class ToolChoiceNone(StrictRequest):
    type: Literal["none"]


ToolChoice = Annotated[
    Annotated[ToolChoiceAuto, of_type("auto")]
    | Annotated[ToolChoiceAuto, of_type("any")]
    | Annotated[ToolChoiceTool, of_type("tool")]
    | Annotated[ToolChoiceNone, of_type("none")],
    ByType("auto", "any", "tool", "none"),
]


class Thinking(StrictRequest):
    """Whether the model thinks before it answers, where its chat template leaves the choice."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = Field(
        default=None,
        ge=LEAST_THINKING_BUDGET,
        description="Handed to the chat template as `thinking_budget`; not enforced.",
    )
    display: Literal["summarized", "omitted"] | None = Field(
        default=None, description="`omitted` leaves out what was thought; nothing is summarized."
    )


class Metadata(StrictRequest):
    user_id: str | None = Field(default=None, max_length=512, description="For fair queueing.")


class JsonFormat(StrictRequest):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(StrictRequest):
    format: JsonFormat | None = Field(default=None, description="Enforced token by token.")
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None, description="Handed to the chat template as `reasoning_effort`."
    )


_KEPT_WHOLE = {"type": "clear_thinking_20251015", "keep": "all"}
"""The one edit of a context that changes nothing."""


class ContextManagement(StrictRequest):
    edits: list[Annotated[dict[str, Any], only(_KEPT_WHOLE)]] = []


class TokenCountRequest(StrictRequest):
    """A prompt: what both routes take."""

    model: str = Field(
        min_length=1,
        description="A model's name or hub repository id; `:` and an adapter's name may follow.",
    )
    system: Texts = []
    messages: list[MessageParam] = Field(min_length=1)
    tools: list[CustomTool] = []
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = Field(
        default=None, description="Marks the end of the whole prompt."
    )

    # These would change the answer, and are refused where they would.
    context_management: ContextManagement | None = None
    mcp_servers: NotYet = None

    # These change nothing here.
    speed: Any = None

    @field_validator("messages")
    @classmethod
    def _results_follow_their_calls(cls, messages: list[MessageParam]) -> list[MessageParam]:
        called: set[str] = set()
        for index, message in enumerate(messages):
            for block in message.content:
                if isinstance(block, ToolUseBlock):
                    called.add(block.id)
                elif isinstance(block, ToolResultBlock) and block.tool_use_id not in called:
                    raise invalid(
                        f"The tool_result in message {index} is for {block.tool_use_id!r}, which "
                        "no tool_use before it has as its id."
                    )
        return messages

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, tools: list[Tool]) -> list[Tool]:
        for name, times in Counter(tool.name for tool in tools).items():
            if times > 1:
                raise invalid(f"{times} tools are called {name!r}.")
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _is_among_the_tools(cls, choice: ToolChoice | None, info: ValidationInfo) -> Any:
        names = [tool.name for tool in info.data.get("tools", [])]
        if isinstance(choice, ToolChoiceTool) and choice.name not in names:
            raise invalid(f"There is no tool {choice.name!r} among the tools.")
        if choice is not None and choice.type == "any" and not names:
            raise invalid("There are no tools to choose from.")
        return choice


class MessagesRequest(TokenCountRequest):
    max_tokens: int = Field(ge=1)
    stop_sequences: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], max_length=MAX_STOP_SEQUENCES
    )
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    stream: bool | None = False
    metadata: Metadata | None = None

    container: NotYet = None
    diagnostics: NotYet = None

    service_tier: Literal["auto", "standard_only"] | None = None
    inference_geo: Any = None

    @field_validator("messages")
    @classmethod
    def _ends_with_others(cls, messages: list[MessageParam]) -> list[MessageParam]:
        if messages[-1].role == "assistant":
            raise invalid(
                "The last message is the assistant's. The hub does not go on in the middle of an "
                "answer: end with a user's message."
            )
        return messages
