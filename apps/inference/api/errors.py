"""What can go wrong in a call, in OpenAI's error shape.

    ModelNotFound            apps.inference.services: no such model or adapter in the registry
      ModelUnsuitable        it is there, but of another kind than the call needs
    WarmPromptNotFound       apps.inference.warming: no such saved prompt
    EngineError              apps.inference.client: the engine refused or failed the call
      EngineUnavailable
    CallRefused              apps.inference.keys: the key is missing, not good, or used up
    OutOfBounds              apps.inference.api.bounds: the request is too big

``problem_of`` turns any of them into a Problem: status, body and Retry-After, and
``validation_problem`` what pydantic found wrong with a request. mlxhub_site.api
makes responses of Problems; a stream that has begun sends the body as its last
event.
Shape: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from apps.inference.api.bounds import OutOfBounds
from apps.inference.client import EngineError
from apps.inference.keys.errors import CallRefused, KeyInvalid, LimitReached, ScopeMissing
from apps.inference.services import ModelNotFound, ModelUnsuitable
from apps.inference.warming import WarmPromptNotFound
from apps.observability.ids import current_request_id

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"

INTERNAL_MESSAGE = (
    "Something went wrong in the hub; it is not your request's fault. "
    "The log of the web process says what; trying again may help."
)


class ErrorDetail(BaseModel):
    message: str = Field(description="What happened, why, and what to do.")
    type: str
    param: str | None = Field(default=None, description="The request field at fault.")
    code: str | None = Field(default=None, description="A name for programs to tell it by.")
    request_id: str | None = Field(
        default=None,
        description="As in X-Request-ID: by it the log has what led to this. null: nothing has "
        "looked at the request.",
    )


class ErrorResponse(BaseModel):
    error: ErrorDetail


@dataclass(frozen=True)
class Problem:
    """An error as HTTP says it. ``retry_after`` is in whole seconds."""

    status: int
    body: ErrorResponse
    retry_after: int | None = None


@dataclass(frozen=True)
class _Kind:
    status: int
    type: str
    param: str | None = None
    retry_after: int | None = None
    """Seconds, where the engine names none."""


_ENGINE_ERRORS: Mapping[str, _Kind] = {
    "invalid_request": _Kind(400, INVALID_REQUEST),
    "context_length_exceeded": _Kind(400, INVALID_REQUEST, param="messages"),
    "chat_template_error": _Kind(400, INVALID_REQUEST, param="messages"),
    "model_not_loaded": _Kind(409, INVALID_REQUEST, param="model"),
    "model_busy": _Kind(409, INVALID_REQUEST, param="model", retry_after=5),
    "cache_entry_not_found": _Kind(404, INVALID_REQUEST),
    "queue_full": _Kind(429, "rate_limit_error", retry_after=5),
    "model_load_failed": _Kind(500, SERVER_ERROR, param="model"),
    "insufficient_memory": _Kind(503, SERVER_ERROR, param="model", retry_after=30),
    "adapter_failed": _Kind(500, SERVER_ERROR, param="model"),
    "deadline_exceeded": _Kind(504, SERVER_ERROR),
    "shutting_down": _Kind(503, SERVER_ERROR, retry_after=5),
    "engine_unavailable": _Kind(503, SERVER_ERROR, retry_after=2),
    "internal_error": _Kind(500, SERVER_ERROR),
}


def problem(
    status: int,
    message: str,
    *,
    kind: str | None = None,
    param: str | None = None,
    code: str | None = None,
    retry_after: int | None = None,
) -> Problem:
    """A Problem; ``kind`` is OpenAI's error type, by default what the status says."""
    kind = kind or (INVALID_REQUEST if status < 500 else SERVER_ERROR)
    detail = ErrorDetail(
        message=message,
        type=kind,
        param=param,
        code=code,
        request_id=current_request_id() or None,
    )
    return Problem(status, ErrorResponse(error=detail), retry_after)


def problem_of(
    error: ModelNotFound | WarmPromptNotFound | EngineError | CallRefused | OutOfBounds,
) -> Problem:
    """The one translation of the errors of this page's head."""
    if isinstance(error, CallRefused):
        return _refusal(error)
    if isinstance(error, OutOfBounds):
        return problem(400, str(error), param=error.param, code=error.code)
    if isinstance(error, ModelUnsuitable):
        return problem(400, str(error), param="model", code="model_unsuitable")
    if isinstance(error, ModelNotFound):
        return problem(404, str(error), param="model", code="model_not_found")
    if isinstance(error, WarmPromptNotFound):
        return problem(404, str(error), param="names", code="warm_prompt_not_found")
    kind = _ENGINE_ERRORS.get(error.code, _ENGINE_ERRORS["internal_error"])
    retry_after = kind.retry_after
    if retry_after is not None and error.retry_after is not None:
        retry_after = max(1, math.ceil(error.retry_after))
    return problem(
        kind.status,
        error.message,
        kind=kind.type,
        param=kind.param,
        code=error.code,
        retry_after=retry_after,
    )


def _refusal(error: CallRefused) -> Problem:
    if isinstance(error, LimitReached):
        return problem(
            429,
            str(error),
            kind="rate_limit_error",
            code="rate_limit_exceeded",
            retry_after=None if error.retry_after is None else max(1, math.ceil(error.retry_after)),
        )
    if isinstance(error, ScopeMissing):
        return problem(403, str(error), code="insufficient_permissions")
    code = "invalid_api_key" if isinstance(error, KeyInvalid) else "missing_api_key"
    return problem(401, str(error), code=code)


def internal_problem() -> Problem:
    """For an error nobody foresaw. It says nothing of the inside; log the traceback."""
    return problem(500, INTERNAL_MESSAGE, code="internal_error")


def validation_problem(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """The first of pydantic's errors, as ninja collects them, with the field it is about."""
    first = errors[0]
    source, *inner = first["loc"]
    param = field_path(inner[1:]) if source == "body" else field_path(inner)
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        message = "This field is not known. Leave it out, or check its spelling."
    elif first["type"] == "missing":
        message = "This field is required."
    if param is None:
        return problem(400, "The request needs a JSON object as its body.", code="invalid_body")
    code = "unsupported_parameter" if first["type"] == "unsupported" else None
    return problem(400, f"{param}: {message}", param=param, code=code)


def member(kind: str) -> str:
    """What a union's member for this type is called in an error's path; never a field's name."""
    return f"\0{kind}"


def field_path(parts: Sequence[str | int]) -> str | None:
    """``("messages", 0, "content")`` as ``messages[0].content``; None where empty."""
    path = ""
    for part in parts:
        if str(part).startswith("\0"):  # a union's member
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or None
