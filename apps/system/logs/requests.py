"""Every request's id, its line in the log, and its place in the metrics.

The id goes out in a header, into each line that is logged meanwhile, and along with what
the request asks of the engine. Whoever reports a failure can name it.
"""

from __future__ import annotations

import logging
import time
from asyncio import iscoroutinefunction
from collections.abc import Callable
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.inference.api.messages.errors import speaks_anthropic
from apps.observability.ids import mark, marked, request_id_from
from apps.observability.instruments import HTTP_REQUESTS, HTTP_SECONDS

HEADER = "X-Request-ID"

ANTHROPIC_HEADER = "request-id"
"""Where clients of that dialect look for it. https://docs.anthropic.com/en/api/errors"""

SLOW = 1.0
"""Seconds after which a page that was only read is worth a line, too."""

_QUIET_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_API_CLASSES = {"openai": "v1", "hub": "rest", "management": "rest", "metrics": "metrics"}

logger = logging.getLogger("apps.system.requests")


class RequestLogMiddleware:
    """Outermost of all, so that a refusal of any other has an id and a line as well."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._answered_later(request)
        name, began = request_id_from(request.headers.get(HEADER)), time.monotonic()
        with marked(request_id=name):
            return _told(request, self._get_response(request), name, began)

    async def _answered_later(self, request: HttpRequest) -> HttpResponseBase:
        name, began = request_id_from(request.headers.get(HEADER)), time.monotonic()
        # For good: the request's task also sends the response, which may be a long stream.
        mark({"request_id": name})
        return _told(request, await self._get_response(request), name, began)


def route_class(request: HttpRequest) -> str:
    """What kind of address was asked for, in few words: a label of metrics."""
    match = request.resolver_match
    if match is None:
        return "static" if request.path.startswith(settings.STATIC_URL) else "unknown"
    if match.app_name == "ninja":
        return _API_CLASSES.get(match.namespace, "rest")
    if match.app_name in ("admin", "healthz"):
        return match.app_name
    return "part" if "HX-Request" in request.headers else "page"


def _told(
    request: HttpRequest, response: HttpResponseBase, name: str, began: float
) -> HttpResponseBase:
    response[HEADER] = name
    if speaks_anthropic(request.path):
        response[ANTHROPIC_HEADER] = name
    seconds, status = time.monotonic() - began, response.status_code
    route = route_class(request)
    HTTP_REQUESTS.labels(route, str(status)).inc()
    HTTP_SECONDS.labels(route).observe(seconds)
    matters = request.method not in _QUIET_METHODS or status >= 400 or seconds > SLOW
    level = logging.ERROR if status >= 500 else logging.INFO if matters else logging.DEBUG
    if logger.isEnabledFor(level):
        # Without the query, which may hold what somebody searched for.
        logger.log(
            level, "%s %r %d in %.0f ms", request.method, request.path, status, seconds * 1000
        )
    return response
