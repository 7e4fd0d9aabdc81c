"""Errors in Anthropic's shape. https://docs.anthropic.com/en/api/errors"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

from apps.inference.api.errors import Problem

PATH = "/v1/messages"
"""Everything from here on speaks Anthropic's dialect."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED = 529
"""Anthropic's status for what is a 503 elsewhere."""


class AnthropicErrorDetail(BaseModel):
    type: str
    message: str = Field(description="What happened, why, and what to do.")


class AnthropicError(BaseModel):
    type: Literal["error"] = "error"
    error: AnthropicErrorDetail
    request_id: str | None = Field(description="As in the header `request-id`.")


def status_of(problem: Problem) -> int:
    """The status that Anthropic's API has for this."""
    return _OVERLOADED if problem.status in (502, 503) else problem.status


def body_of(problem: Problem) -> AnthropicError:
    """The error in Anthropic's shape."""
    kind = _TYPES.get(status_of(problem), "invalid_request_error")
    detail = problem.body.error
    return AnthropicError(
        error=AnthropicErrorDetail(type=kind, message=detail.message),
        request_id=detail.request_id,
    )


def speaks_anthropic(path: str) -> bool:
    """Whether errors of this address are told in this dialect."""
    return path == PATH or path.startswith(f"{PATH}/")
