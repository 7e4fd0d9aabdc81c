"""The Messages API on its way out: an answer's parts as Anthropic's content blocks."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from apps.inference.api.answer_parts import Answer, Called, Part, Said, Thought
from apps.inference.api.messages.message import (
    AssistantMessage,
    CacheCreation,
    ContentBlock,
    MessageUsage,
    OutputTokensDetails,
    StopReason,
    Text,
    ThinkingText,
    ToolUse,
)
from apps.inference.api.messages.translation import MessagesCall
from apps.inference.engine.protocol import Done, Prompt

UNREADABLE = "INVALID_JSON"
"""Under this name a call's input holds what is no JSON object, as Anthropic's guide to
streamed tool input has it."""


def message_of(call: MessagesCall, answer: Answer) -> AssistantMessage:
    """The whole message. Raises EngineError where the answer has no end."""
    done = answer.ended
    prompt = answer.prompt or Prompt(
        prompt_tokens=done.usage.prompt_tokens, cached_tokens=done.usage.cached_tokens
    )
    return AssistantMessage(
        id=call.id,
        model=call.model,
        content=[block_of(part, call) for part in answer.parts],
        stop_reason=stop_reason(call, done),
        stop_sequence=done.stop_string,
        usage=usage_of(call, prompt, done),
    )


def block_of(part: Part, call: MessagesCall) -> ContentBlock:
    """A part of the answer in Anthropic's shape."""
    match part:
        case Thought():
            return ThinkingText(thinking=part.text if call.shows_thinking else "")
        case Said():
            return Text(text=part.text)
        case Called():
            return ToolUse(id=part.id, name=part.name, input=_input(part.text))


def stop_reason(call: MessagesCall, done: Done) -> StopReason:
    """Why the answer ended, in Anthropic's words."""
    if done.finish_reason == "tool_calls":
        return "tool_use"
    if done.finish_reason == "length":
        reached = done.usage.completion_tokens >= call.max_tokens
        return "max_tokens" if reached else "model_context_window_exceeded"
    return "end_turn" if done.stop_string is None else "stop_sequence"


def usage_of(call: MessagesCall, prompt: Prompt, done: Done | None = None) -> MessageUsage:
    """What the prompt cost, and the answer where it is over."""
    read = prompt.cached_tokens
    created = max(0, prompt.marked_tokens - read)
    output = done.usage.completion_tokens if done else 0
    return MessageUsage(
        input_tokens=prompt.prompt_tokens - read - created,
        cache_creation_input_tokens=created,
        cache_read_input_tokens=read,
        cache_creation=CacheCreation(
            ephemeral_5m_input_tokens=created if call.cache_ttl != "1h" else 0,
            ephemeral_1h_input_tokens=created if call.cache_ttl == "1h" else 0,
        ),
        output_tokens=output,
        output_tokens_details=OutputTokensDetails(
            thinking_tokens=done.usage.reasoning_tokens if done else 0
        ),
    )


def _input(arguments: str) -> dict[str, Any]:
    """A call's arguments as an object; what there is of it where the answer was cut short."""
    try:
        read = from_json(arguments or "{}", allow_partial="trailing-strings", allow_inf_nan=False)
    except ValueError:
        return {UNREADABLE: arguments}
    return read if isinstance(read, dict) else {UNREADABLE: arguments}
