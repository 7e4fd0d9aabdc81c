"""A chat completion, whole or in chunks. Extensions of OpenAI's API are marked.

https://platform.openai.com/docs/api-reference/chat/object
https://platform.openai.com/docs/api-reference/chat-streaming/streaming
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FinishReason = Literal["stop", "length", "tool_calls"]


class PromptTokensDetails(BaseModel):
    cached_tokens: int = Field(description="Prompt tokens whose KV was already computed.")


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int = Field(description="Tokens that the model thought in.")


class CompletionUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int = Field(description="Of all the answers together.")
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class TopLogprob(BaseModel):
    token: str
    bytes: list[int] | None
    logprob: float


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None = None


class SpeculationFigures(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    drafted: int = Field(description="Tokens that the draft model proposed.")
    accepted: int = Field(description="Those of them that held.")


class ChoiceTimings(BaseModel):
    """Extension: where an answer's time went, in seconds, measured in the engine."""

    queued: float
    time_to_first_token: float
    decode: float
    tokens_per_second: float = Field(description="After the first token; 0 where it is the only.")
    speculation: SpeculationFigures | None = Field(
        default=None, description="Null where no draft model took part."
    )


class CalledFunction(BaseModel):
    name: str
    arguments: str = Field(description="JSON text; where the answer was cut off, a part of it.")


class ToolCall(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


def _absent(value: object) -> bool:
    return value is None


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None = Field(description="Null where the answer is calls only.")
    refusal: None = None
    reasoning_content: str | None = Field(
        default=None,
        exclude_if=_absent,
        description="Extension: what the model thought before it answered.",
    )
    tool_calls: list[ToolCall] | None = Field(default=None, exclude_if=_absent)


class Choice(BaseModel):
    index: int
    message: AssistantMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason
    timings: ChoiceTimings


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Seconds since the epoch.")
    model: str
    choices: list[Choice]
    usage: CompletionUsage
