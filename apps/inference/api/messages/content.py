"""The content blocks that the Messages API takes.

https://docs.anthropic.com/en/api/messages#body-messages
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid
from apps.inference.api.schemas.tagged import ByType, of_type, only_type


class CacheControl(StrictRequest):
    """Marks the end of a beginning that will be used again; see docs/decisions/0018."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = Field(default=None, description="Only told in the usage.")
    scope: Any = Field(default=None, description="Has no effect: the cache is this hub's.")


class TextBlock(StrictRequest):
    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: NotYet = None


class ThinkingBlock(StrictRequest):
    """What the model thought before an earlier answer."""

    type: Literal["thinking"]
    thinking: str
    signature: str = Field(default="", description="Not checked: the hub signs nothing.")


class RedactedThinkingBlock(StrictRequest):
    """Left out: only Anthropic can read it."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(StrictRequest):
    type: Literal["tool_use"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    input: dict[str, Any]
    cache_control: CacheControl | None = None
    caller: Any = Field(default=None, description="Has no effect.")


def as_blocks(content: Any) -> Any:
    """A string is short for one block of text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid("Input should be a string or a list of content blocks")
    return content


Texts = Annotated[
    list[Annotated[TextBlock, only_type("text")]],
    BeforeValidator(as_blocks, json_schema_input_type=str | list[TextBlock]),
]
"""A string, or blocks of text alone."""


class ToolResultBlock(StrictRequest):
    type: Literal["tool_result"]
    tool_use_id: str = Field(min_length=1)
    content: Texts = []
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = Annotated[
    Annotated[TextBlock, of_type("text")]
    | Annotated[ThinkingBlock, of_type("thinking")]
    | Annotated[RedactedThinkingBlock, of_type("redacted_thinking")]
    | Annotated[ToolUseBlock, of_type("tool_use")]
    | Annotated[ToolResultBlock, of_type("tool_result")],
    ByType("text", "thinking", "redacted_thinking", "tool_use", "tool_result"),
]

_Blocks = Annotated[list[Block], Field(min_length=1)]

Content = Annotated[_Blocks, BeforeValidator(as_blocks, json_schema_input_type=str | _Blocks)]


def joined(texts: list[TextBlock]) -> str:
    """Blocks carry their own white space."""
    return "".join(block.text for block in texts)
