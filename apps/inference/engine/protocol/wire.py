"""Requests and events as lines, and how calls end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from apps.inference.engine.protocol.answers import (
    Delta,
    Done,
    Embedded,
    Loading,
    Prefill,
    Prompt,
    PromptTokens,
    Reasoning,
    Text,
    Tokens,
    ToolCallArguments,
    ToolCallStart,
    Vectors,
    Warmed,
)
from apps.inference.engine.protocol.parts import Wire
from apps.inference.engine.protocol.requests import Request
from apps.inference.engine.protocol.state import (
    CacheEntries,
    CacheStats,
    Evicted,
    Held,
    ModelReady,
    Ok,
    Status,
)

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Longest request line the engine reads; a longer one is refused unread."""

ErrorCode = Literal[
    "invalid_request",
    "context_length_exceeded",
    "chat_template_error",
    "model_load_failed",
    "insufficient_memory",
    "model_not_loaded",
    "model_busy",
    "adapter_failed",
    "deadline_exceeded",
    "cache_entry_not_found",
    "queue_full",
    "shutting_down",
    "internal_error",
]


class Failed(Wire):
    """The call ended without its result; ``message`` says what happened and what to do."""

    event: Literal["error"] = "error"
    code: ErrorCode
    message: str
    retry_after: float | None = None
    """Seconds after which the same call may succeed, where waiting helps."""


Event = Annotated[
    Loading
    | Prompt
    | Prefill
    | Delta
    | Reasoning
    | ToolCallStart
    | ToolCallArguments
    | Done
    | Warmed
    | Tokens
    | Text
    | PromptTokens
    | Vectors
    | Embedded
    | ModelReady
    | Ok
    | Held
    | Status
    | CacheEntries
    | CacheStats
    | Evicted
    | Failed,
    Field(discriminator="event"),
]

LAST_EVENTS = (
    Done,
    Warmed,
    Tokens,
    Text,
    Embedded,
    ModelReady,
    Ok,
    Status,
    CacheEntries,
    CacheStats,
    Evicted,
    Failed,
)
"""Nothing follows one of these; the engine closes the connection after it."""

_requests: TypeAdapter[Request] = TypeAdapter(Request)
_events: TypeAdapter[Event] = TypeAdapter(Event)


def encode(message: BaseModel) -> bytes:
    """One request or event as a JSON line."""
    return message.model_dump_json().encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises pydantic.ValidationError for anything that is not a request."""
    return _requests.validate_json(line)


def decode_event(line: bytes) -> Event:
    """Raises pydantic.ValidationError for anything that is not an event."""
    return _events.validate_json(line)
