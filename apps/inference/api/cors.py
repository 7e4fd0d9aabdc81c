"""Which web pages of other origins may call /v1: those the owner named, and no others.

Nothing is sent to a page that is not named (``MLXHUB_CORS_ORIGINS``), and cookies are
never let along: such a page is a program like others, with a key where one is needed.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

OPEN_NAMESPACE = "openai"
"""The only API that pages may call; the management APIs are not for them."""

METHODS = "GET, POST, DELETE"

PREFLIGHT_SECONDS = 600

_BUDGETS = [
    (what, told) for what in ("requests", "tokens") for told in ("limit", "remaining", "reset")
]

EXPOSED = ", ".join(
    (
        "Retry-After",
        "X-Request-ID",
        "request-id",
        "X-MLXHub-Response-Cache",
        *(f"x-ratelimit-{told}-{what}" for what, told in _BUDGETS),
        *(f"anthropic-ratelimit-{what}-{told}" for what, told in _BUDGETS),
    )
)


def allowed_origin(request: HttpRequest) -> str | None:
    """The origin of the page that asks, where the owner named it."""
    match = request.resolver_match
    origin = request.headers.get("Origin")
    if match is None or match.namespace != OPEN_NAMESPACE:
        return None
    return origin if origin in settings.HUB.cors_origins else None


def preflight(request: HttpRequest) -> HttpResponse | None:
    """The answer to a browser that asks before it sends; None where it does not."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = METHODS
    response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked:
        response["Access-Control-Allow-Headers"] = asked
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        response["Access-Control-Allow-Private-Network"] = "true"
    return response


def tell(request: HttpRequest, response: HttpResponseBase) -> None:
    """Lets the page read the response, where it may."""
    if not settings.HUB.cors_origins:
        return
    patch_vary_headers(response, ["Origin"])
    origin = allowed_origin(request)
    if origin is not None:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = EXPOSED
