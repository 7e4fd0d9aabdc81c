"""Lets requests for pages in, by the rule of their route. The API's middleware does the same
for calls (`apps.inference.api.access`), where keys count too.

A refusal says which role is missing and who can give it. A page's own requests (htmx, fetch)
get it as text, for the place on the page they came from.
"""

from __future__ import annotations

from asyncio import iscoroutinefunction
from collections.abc import Callable
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.accounts.identity import (
    ForwardedRequest,
    Identity,
    identify,
    nobody,
    set_identity,
)
from apps.accounts.roles import Role
from apps.accounts.rules import API_APP_NAME, SAFE_METHODS, Rule, rule_for, rule_key
from apps.accounts.setup import owner_is_missing
from apps.audit import recording
from apps.audit.actors import acting, set_actor

REFUSAL_HEADER = "X-Refused"
"""Why a page's own request was refused; static/js/failures.js shows it."""


class GateMiddleware:
    """Stands behind sessions and before every page."""

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
        with acting(nobody(request).actor):
            return self._get_response(request)

    async def _answered_later(self, request: HttpRequest) -> Any:
        # Until it is known who asks, and not for what comes after it in the same context.
        with acting(nobody(request).actor):
            return await self._get_response(request)

    async def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if match is None or match.app_name == API_APP_NAME:
            return None
        rule = rule_for(match)
        if settings.HUB.sign_in_required:
            identity, refusal = await sync_to_async(_decided)(request, rule)
        else:
            identity, refusal = _decided(request, rule)  # nothing is looked up
        set_identity(request, identity)
        set_actor(identity.actor)
        return refusal


def _decided(request: HttpRequest, rule: Rule) -> tuple[Identity, HttpResponseBase | None]:
    try:
        identity = identify(request)
    except ForwardedRequest as error:
        identity = nobody(request)
        public = rule.needed(request.method) is None
        return identity, None if public else _page_refused(request, str(error))
    if rule.lets(identity.role, request.method):
        return identity, None
    set_identity(request, identity)  # the refusal's own page shows who it is for
    return identity, _refusal(request, rule, identity)


def _refusal(request: HttpRequest, rule: Rule, identity: Identity) -> HttpResponseBase:
    if identity.role is None:
        return _sign_in_first(request)
    needed = rule.needed(request.method) or Role.OWNER
    why = (
        f"This takes the role {needed.label}, and yours is {identity.role.label}. "
        "An owner of this hub can change that."
    )
    if request.method not in SAFE_METHODS and request.resolver_match is not None:
        recording.refused(
            rule_key(request.resolver_match), request.path, why=why, actor=identity.actor
        )
    return _page_refused(request, why)


def _sign_in_first(request: HttpRequest) -> HttpResponseBase:
    if owner_is_missing():
        return redirect("accounts:setup")
    if _wants_a_part(request):
        return _told("You are signed out. Reload the page to sign in.", status=401)
    if request.method in SAFE_METHODS:
        return redirect_to_login(request.get_full_path(), reverse("accounts:sign_in"))
    return redirect("accounts:sign_in")


def _page_refused(request: HttpRequest, why: str) -> HttpResponse:
    if _wants_a_part(request):
        return _told(why, status=403)
    return render(request, "accounts/refused.html", {"why": why}, status=403)


def _wants_a_part(request: HttpRequest) -> bool:
    """Whether a page's script asks, and not the browser for a whole page."""
    if "HX-Request" in request.headers:
        return "HX-History-Restore-Request" not in request.headers
    return request.headers.get("Sec-Fetch-Dest") == "empty"


def _told(why: str, *, status: int) -> HttpResponse:
    response = HttpResponse(why, status=status, content_type="text/plain; charset=utf-8")
    response[REFUSAL_HEADER] = why
    return response
