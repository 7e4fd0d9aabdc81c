"""What the routes that answer share: who asks, how a stream is documented, a header."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

RESPONSE_CACHE_HEADER = "X-MLXHub-Response-Cache"
"""``hit`` or ``miss``; not sent where the response cache is off."""


def client_name(request: HttpRequest, user: str | None) -> str:
    """Who is asking, for fair queueing."""
    return f"api:{user or request.META.get('REMOTE_ADDR', '')}"


def tell_response_cache(response: HttpResponseBase, *, repeated: bool) -> None:
    """Say in a header where the answer came from, while there is a response cache."""
    if settings.HUB.response_cache_mb:
        response[RESPONSE_CACHE_HEADER] = "hit" if repeated else "miss"


def streamed(example: str) -> dict[str, Any]:
    """OpenAPI's description of an answer that may be an event stream beginning like ``example``."""
    content = {"example": example}
    return {"responses": {200: {"content": {"text/event-stream": content}}}}
