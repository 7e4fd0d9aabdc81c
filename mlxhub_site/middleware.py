"""The hub's middlewares as the event loop runs them: no thread where there is nothing to wait for.

Django runs both hooks of a ``MiddlewareMixin`` in a thread, and everything around a middleware
that knows no coroutines, as WhiteNoise's does not, in one thread for the whole request. Each
change of thread costs as much as most hooks do in all. What reads and sets headers alone is
therefore called where it stands; what may ask the database or read a body keeps its thread.

Called by threads, as in Django's test client, they are what they are called after.
"""

from __future__ import annotations

from asyncio import iscoroutinefunction
from collections.abc import Callable
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin
from whitenoise.middleware import WhiteNoiseMiddleware

from apps.accounts.headers import SecurityHeadersMiddleware
from apps.inference.api.boundary import ApiBoundaryMiddleware

_READS_NOTHING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that need no CSRF token; https://www.rfc-editor.org/rfc/rfc9110#name-safe-methods"""


class Inline(MiddlewareMixin):
    """Its hooks ask nobody, and run on the event loop."""

    def has_to_write(self, request: HttpRequest) -> bool:
        """Whether ``process_response`` asks the database after all; it then has a thread."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        before = getattr(self, "process_request", None)
        after = getattr(self, "process_response", None)
        response = before(request) if before is not None else None
        if response is None:
            response = await self.get_response(request)  # type: ignore[misc]
        if after is not None and self.has_to_write(request):
            response = await sync_to_async(after)(request, response)
        elif after is not None:
            response = after(request, response)
        answered: HttpResponseBase = response
        return answered


class Security(Inline, SecurityMiddleware):
    pass


class SecurityHeaders(Inline, SecurityHeadersMiddleware):
    pass


class ContentSecurityPolicy(Inline, CSPMiddleware):
    pass


class Common(Inline, CommonMiddleware):
    pass


class Clickjacking(Inline, XFrameOptionsMiddleware):
    pass


class Authentication(Inline, AuthenticationMiddleware):
    """Whose session it is, is asked by who wants to know."""


class ApiBoundary(Inline, ApiBoundaryMiddleware):
    async def process_view(  # type: ignore[override]
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        return super().process_view(request, view, args, kwargs)


class Sessions(Inline, SessionMiddleware):
    def has_to_write(self, request: HttpRequest) -> bool:
        return request.session.modified


class Messages(Inline, MessageMiddleware):
    def has_to_write(self, request: HttpRequest) -> bool:
        # Some may be left over, for which the session is read.
        kept = getattr(request, "_messages", None)
        return kept is not None and (kept.used or kept.added_new)


class Csrf(Inline, CsrfViewMiddleware):
    """The token may stand in the body, which may lie in a file."""

    async def process_view(  # type: ignore[override]
        self, request: HttpRequest, callback: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        check = super().process_view
        if request.method in _READS_NOTHING or getattr(callback, "csrf_exempt", False):
            return check(request, callback, args, kwargs)
        return await sync_to_async(check)(request, callback, args, kwargs)


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # has no types
    """WhiteNoise's; files are opened in a thread, and nothing else of a request is."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self._answered_later(request) if self._is_async else super().__call__(request)

    async def _answered_later(self, request: HttpRequest) -> HttpResponseBase:
        if self.autorefresh:
            found = await sync_to_async(self.find_file)(request.path_info)
        else:
            found = self.files.get(request.path_info)
        answered: HttpResponseBase
        if found is None:
            answered = await self.get_response(request)
        else:
            answered = await sync_to_async(self.serve)(found, request)
        return answered
