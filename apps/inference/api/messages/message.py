"""A message of the model, whole. https://docs.anthropic.com/en/api/messages#response-content"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"
]


class Text(BaseModel):
    type: Literal["text"] = "text"
    text: str


class ThinkingText(BaseModel):
    type: Literal["thinking"] = "thinking"
    thinking: str
    signature: str = Field(default="", description="Empty: the hub signs nothing.")


class ToolUse(BaseModel):
    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


ContentBlock = Text | ThinkingText | ToolUse


class CacheCreation(BaseModel):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class OutputTokensDetails(BaseModel):
    thinking_tokens: int


class MessageUsage(BaseModel):
    """The prompt has as many tokens as the three input counts together."""

    input_tokens: int = Field(description="Prompt tokens behind the last mark of the cache.")
    cache_creation_input_tokens: int = Field(description="Computed, up to the last mark.")
    cache_read_input_tokens: int = Field(description="Prompt tokens whose KV was cached.")
    cache_creation: CacheCreation
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    service_tier: Literal["standard"] = "standard"


class AssistantMessage(BaseModel):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[ContentBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(BaseModel):
    input_tokens: int
