"""Who is let in, how much they may ask for, and what is kept of it: around every API call.

    process_view   recognise the key → its scope → its limits → Caller and Tally are set
    the view       models and cached prompts are the caller's; answers() counts
    the response   gets the limits' headers
    the end        the place is given back, tokens are settled, the record is written

The end is the request's, not the response's: it comes when the last byte was sent or
the client left, so nothing of it delays an answer.
"""

from __future__ import annotations

import logging
import threading
from asyncio import iscoroutinefunction
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from apps.accounts.identity import (
    ForwardedRequest,
    Identity,
    address_of,
    identify,
    nobody,
    set_identity,
)
from apps.accounts.roles import Role
from apps.accounts.rules import SAFE_METHODS, UNDECLARED, rule_for, rule_key
from apps.audit import recording
from apps.audit.actors import Actor, set_actor
from apps.inference.api.boundary import API_APP_NAME, problem_response
from apps.inference.api.errors import problem_of
from apps.inference.api.lifetime import ends_with_request
from apps.inference.api.messages.errors import speaks_anthropic
from apps.inference.keys.budget import Budget, Budgets
from apps.inference.keys.caller import OWNER, set_caller
from apps.inference.keys.endpoints import Endpoints, endpoints_of
from apps.inference.keys.errors import CallRefused, KeyMissing, LimitReached, ScopeMissing
from apps.inference.keys.leases import leases
from apps.inference.keys.limits import Admitted, admit, estimated_tokens, settle
from apps.inference.keys.models import ApiKey
from apps.inference.keys.secret import looks_like_key
from apps.inference.keys.services import caller_of, recognise
from apps.inference.usage.tally import Tally, set_tally

INFERENCE_NAMESPACE = "openai"
"""The API whose calls need the inference scope; the others need management."""

OPEN_ROUTES = frozenset({"openapi-json", "openapi-view", None})
"""What an API says about itself needs no key, nor does being told that there is nothing."""

_NO_KEY = (
    "This hub needs an API key. Send it as `Authorization: Bearer KEY` or as "
    "`x-api-key: KEY`; its owner makes one with `mlx-hub keys create NAME`."
)

_VISIT = "mlxhub.visit"
"""In request.META, from process_view to the response."""

USE_NOTED_EVERY = timedelta(minutes=1)
"""``ApiKey.last_used_at`` is as exact as this."""

logger = logging.getLogger(__name__)


class Visit:
    """One API call with what it holds. ``enter`` and ``leave`` are for threads that may block.

    A client may leave while ``enter`` runs in its thread, which nothing can stop; then
    ``leave`` waits for it, or comes first, and ``enter`` takes nothing any more.
    """

    def __init__(self, request: HttpRequest, *, inference: bool) -> None:
        self.tally = Tally()
        self.caller = OWNER
        self.identity: Identity | None = None
        self.budgets = Budgets()
        self._request = request
        self._inference = inference
        self._key: ApiKey | None = None
        self._admitted: Admitted | None = None
        self._turn = threading.Lock()
        self._over = False

    def enter(self) -> None:
        """Raises CallRefused."""
        with self._turn:
            if self._over:
                return
            key = self._recognised()
            self.identity = identity = self._identified(key)
            if identity.role is None:
                raise KeyMissing(_NO_KEY)
            if self._inference:
                # Not before: a call without a valid key is nobody's, and would let
                # anybody fill the disk with records.
                self.tally.endpoint = _endpoint(self._request)
                if settings.HUB.log_prompts:
                    self.tally.keep_text(self._body())
            self._check_rule(identity)
            if key is None:
                return
            self._key = key
            self._check_scope(key)
            self.caller = caller_of(key)
            counted_in = self._endpoints()
            if counted_in is not None and key.is_limited_for(counted_in):
                self._admit(key, counted_in)

    def _endpoints(self) -> Endpoints | None:
        match = self._request.resolver_match
        route = match.route if match else ""
        return endpoints_of(route, self._request.method, inference=self._inference)

    def _admit(self, key: ApiKey, endpoints: Endpoints) -> None:
        # What is uploaded to /api is no prompt, and nothing to read before its view does.
        tokens = estimated_tokens(len(self._body())) if self._inference else 0
        try:
            self._admitted = admit(key, tokens=tokens, endpoints=endpoints)
        except LimitReached as error:
            self.budgets = error.budgets
            raise
        self.budgets = self._admitted.budgets
        if self._admitted.holds_place:
            leases.hold(self._admitted.id)

    def leave(self) -> None:
        """Give back what is held, and write down what it was."""
        with self._turn:
            self._over = True
            if self._admitted is not None:
                leases.let_go(self._admitted.id)
            if self._key is None and not self.tally.endpoint:
                return
            if not connection.in_atomic_block:  # a test's, whose connection has to stay
                close_old_connections()
            try:
                with transaction.atomic():
                    self._write()
            except DatabaseError:
                logger.exception("A request's usage was not recorded.")

    def _write(self) -> None:
        if self._admitted is not None:
            settle(self._admitted.id, tokens=self.tally.total_tokens)
        key = self._key
        if self.tally.endpoint:
            self.tally.record(key_id=key.pk if key else None).save(force_insert=True)
        if key is not None and _is_stale(key):
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())

    def _recognised(self) -> ApiKey | None:
        """None for the owner, who needs no key on this machine. Raises CallRefused."""
        text = _given_key(self._request)
        required = settings.HUB.keys_required
        # Client libraries insist on a key, so people give "unused" or another server's.
        if text and (required or looks_like_key(text)):
            return recognise(text)
        return None

    def _identified(self, key: ApiKey | None) -> Identity:
        """Who calls: the key's account, or the owner or a session as for pages."""
        if key is not None:
            owns = key.role is Role.OWNER
            actor = Actor("key", key.name, key.user_id, address_of(self._request), owns)
            return Identity(key.role, actor)
        try:
            identity = identify(self._request)
        except ForwardedRequest as error:
            raise KeyMissing(str(error)) from error
        if identity.actor.kind == "user" and not _sent_by_a_page(self._request):
            raise ScopeMissing("The call has no valid CSRF token. Reload the page, or use a key.")
        if identity.actor.kind == "owner" and settings.HUB.keys_required:
            return nobody(self._request)
        if identity.role is None and self._inference and not settings.HUB.keys_required:
            # The owner said that models may be used without a key, from anywhere.
            return Identity(Role.MEMBER, identity.actor)
        return identity

    def _check_rule(self, identity: Identity) -> None:
        match = self._request.resolver_match
        rule = rule_for(match) if match is not None else UNDECLARED
        if rule.lets(identity.role, self._request.method):
            return
        needed = rule.needed(self._request.method)
        why = (
            f"This takes the role {needed.label if needed else 'owner'}; the caller's is "
            f"{identity.role.label if identity.role else 'none'}."
        )
        if match is not None and not self._inference and self._request.method not in SAFE_METHODS:
            recording.refused(rule_key(match), self._request.path, why=why, actor=identity.actor)
        raise ScopeMissing(why)

    def _check_scope(self, key: ApiKey) -> None:
        if self._inference and not key.may_infer:
            raise ScopeMissing(f"The key {key.name!r} is not for inference. Use one that is.")
        if not self._inference and not key.may_manage:
            raise ScopeMissing(f"The key {key.name!r} is not for management. Use one that is.")

    def _body(self) -> bytes:
        try:
            return self._request.body
        except RequestDataTooBig:
            return b""  # the view refuses it


class AccessMiddleware:
    """Lets API calls in, and keeps account of them. Pages pass it by."""

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
        _nobody_yet()
        return _told(request, self._get_response(request))

    async def _answered_later(self, request: HttpRequest) -> HttpResponseBase:
        _nobody_yet()
        response: HttpResponseBase = await self._get_response(request)
        return _told(request, response)

    async def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.app_name != API_APP_NAME or match.url_name in OPEN_ROUTES:
            return None
        visit = Visit(request, inference=match.namespace == INFERENCE_NAMESPACE)
        request.META[_VISIT] = visit
        set_tally(visit.tally)
        await ends_with_request(sync_to_async(visit.leave))
        try:
            await sync_to_async(visit.enter)()
        except CallRefused as error:
            return _refusal(request, visit, error)
        set_caller(visit.caller)
        if visit.identity is not None:
            set_identity(request, visit.identity)
            set_actor(visit.identity.actor)
        return None


def _nobody_yet() -> None:
    """A request starts with the context of whatever started it."""
    set_caller(OWNER)
    set_tally(Tally())


def _refusal(request: HttpRequest, visit: Visit, error: CallRefused) -> HttpResponse:
    refused = problem_of(error)
    visit.tally.failed(refused.body.error.code)
    response = problem_response(refused, request.path)
    if refused.status == 401:
        # Nobody's call leaves no record, so the log has it.
        logger.warning("%s %r was refused: %s", request.method, request.path, error)
        response["WWW-Authenticate"] = "Bearer"
    return response


def _told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response with what the caller has left, where the key has limits."""
    visit: Visit | None = request.META.get(_VISIT)
    if visit is None:
        return response
    visit.tally.answered(response.status_code, streamed=response.streaming)
    if isinstance(response, HttpResponseNotAllowed):
        visit.tally.endpoint = ""  # no route took it
    for what, budget in (("requests", visit.budgets.requests), ("tokens", visit.budgets.tokens)):
        if budget is not None:
            tell = _tell_anthropic if speaks_anthropic(request.path) else _tell_openai
            tell(response, what, budget)
    return response


def _tell_openai(response: HttpResponseBase, what: str, budget: Budget) -> None:
    """https://platform.openai.com/docs/guides/rate-limits"""
    response[f"x-ratelimit-limit-{what}"] = str(budget.limit)
    response[f"x-ratelimit-remaining-{what}"] = str(budget.remaining)
    response[f"x-ratelimit-reset-{what}"] = f"{budget.reset:.3f}s"


def _tell_anthropic(response: HttpResponseBase, what: str, budget: Budget) -> None:
    """https://docs.anthropic.com/en/api/rate-limits#response-headers"""
    full = timezone.now() + timedelta(seconds=budget.reset)
    response[f"anthropic-ratelimit-{what}-limit"] = str(budget.limit)
    response[f"anthropic-ratelimit-{what}-remaining"] = str(budget.remaining)
    response[f"anthropic-ratelimit-{what}-reset"] = f"{full.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _sent_by_a_page(request: HttpRequest) -> bool:
    """Whether a call with a session has its token: a session alone may be another page's doing."""
    checked = CsrfViewMiddleware(_unused).process_view(request, _unused, (), {})
    return checked is None


def _unused(request: HttpRequest) -> HttpResponse:
    """Not exempt from the check, as the API's views are, and never called."""
    raise AssertionError


def _given_key(request: HttpRequest) -> str:
    """What came as a key; empty where none did. One of this hub's goes before others."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = [request.headers.get("x-api-key", "").strip()]
    if scheme.lower() == "bearer":
        given.insert(0, bearer.strip())
    given = [text for text in given if text]
    return next((text for text in given if looks_like_key(text)), given[0] if given else "")


def _endpoint(request: HttpRequest) -> str:
    """The route, not the address: what stands in addresses would be as many endpoints."""
    match = request.resolver_match
    return f"{request.method} /{match.route if match else ''}"


def _is_stale(key: ApiKey) -> bool:
    return key.last_used_at is None or key.last_used_at < timezone.now() - USE_NOTED_EVERY
