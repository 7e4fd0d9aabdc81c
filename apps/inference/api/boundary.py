"""What is settled around every call, whichever route it is for.

The hub has one owner and, on loopback, no password. Any web page may send
requests to 127.0.0.1, so a request that changes something must not come from a
foreign page, and none may come under a foreign name (DNS rebinding: the page's
own name, made to point here). Programs send neither Origin nor Sec-Fetch-Site
and pass. Pages that the owner named pass too (``cors``); to others no CORS header
is ever sent, so their preflight ends in a refusal as well.

https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apps.inference.api import cors
from apps.inference.api.bounds import MAX_HEADER_BYTES
from apps.inference.api.errors import Problem, problem
from apps.inference.api.messages.errors import body_of, speaks_anthropic, status_of

SAFE_METHODS = frozenset({"GET", "HEAD"})
OWN_FETCH_SITES = frozenset({"same-origin", "none"})
"""``same-site`` is not among them: every port of localhost is one site."""

API_APP_NAME = "ninja"
"""The URL application name that django-ninja gives each of its APIs."""


class ApiBoundaryMiddleware(MiddlewareMixin):
    """Refuses foreign hosts and foreign pages; gives 405 the API's error shape."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        refusal = _foreign_host(request) or _long_headers(request)
        return problem_response(refusal, request.path) if refusal else None

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if cors.allowed_origin(request) is not None:
            return cors.preflight(request)
        refusal = _foreign_page(request) if _is_api(request) else None
        return problem_response(refusal, request.path) if refusal else None

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if isinstance(response, HttpResponseNotAllowed) and _is_api(request):
            response = _not_allowed(request, response)
        cors.tell(request, response)
        return response


def problem_response(it: Problem, path: str = "") -> JsonResponse:
    """A Problem as an HTTP response, in the dialect that is spoken at ``path``."""
    if speaks_anthropic(path):
        response = JsonResponse(body_of(it).model_dump(), status=status_of(it))
    else:
        response = JsonResponse(it.body.model_dump(), status=it.status)
    if it.retry_after is not None:
        response["Retry-After"] = str(it.retry_after)
    return response


def _not_allowed(request: HttpRequest, response: HttpResponseNotAllowed) -> JsonResponse:
    allowed = response["Allow"]
    answer = problem_response(
        problem(
            405,
            f"{request.method} does not work on {request.path}. It takes {allowed}.",
            code="method_not_allowed",
        ),
        request.path,
    )
    answer["Allow"] = allowed
    return answer


def _long_headers(request: HttpRequest) -> Problem | None:
    size = sum(len(name) + len(value) for name, value in request.headers.items())
    if size <= MAX_HEADER_BYTES:
        return None
    return problem(
        431,
        f"The request's headers have {size:,} bytes; at most {MAX_HEADER_BYTES:,} are taken.",
        code="request_headers_too_large",
    )


def _is_api(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and match.app_name == API_APP_NAME


def _foreign_host(request: HttpRequest) -> Problem | None:
    try:
        host = request.get_host()
    except DisallowedHost:
        return problem(
            403,
            "The Host header names another machine. Call the hub as localhost or 127.0.0.1, "
            "or bind it to another address with MLXHUB_HOST.",
            code="host_not_allowed",
        )
    if not settings.HUB.is_open or _may_be_called(split_domain_port(host)[0]):
        return None
    return problem(
        403,
        "The Host header names another machine. Call the hub by its network address, or add the "
        "name to MLXHUB_ALLOWED_HOSTS and start the hub again.",
        code="host_not_allowed",
    )


def _may_be_called(domain: str) -> bool:
    """Whether ``domain`` is an address or a name of this machine.

    A page's own name that was made to point here is never one of them.
    """
    if domain in settings.HUB.own_names:
        return True
    named = [each for each in settings.ALLOWED_HOSTS if each != "*"]
    if validate_host(domain, named):
        return True
    try:
        ip_address(domain.strip("[]"))
    except ValueError:
        return False
    return True


def _foreign_page(request: HttpRequest) -> Problem | None:
    if request.method in SAFE_METHODS:
        return None
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    own_origin = f"{request.scheme}://{request.get_host()}"
    if site in OWN_FETCH_SITES and origin in (None, own_origin):
        return None
    return problem(
        403,
        "A web page of another origin may not call the hub. Call it from a program, "
        "or from the hub's own pages.",
        code="cross_origin_request",
    )
