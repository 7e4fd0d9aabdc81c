"""Every route, every role, both ways to run a hub: the rules hold, and none is missing.

The routes are those of the URL configuration. Behind the real middlewares stands one that
answers in place of every view, so that what is tested is who gets there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import RoutePattern
from django.utils.deprecation import MiddlewareMixin
from django.utils.regex_helper import normalize

from apps.accounts.roles import Role
from apps.accounts.rules import API_APP_NAME, rule_key, rule_named
from apps.inference.keys.services import create_key
from mlxhub_site.access import RULES
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

LET_IN = 299
"""The stand-in's answer; nothing else answers so."""

ROLES = (None, *Role)
METHODS = ("GET", "POST")
"""A safe one and another; beside them those that a rule names."""

OF_THE_ADMIN = 5

SAMPLES = {
    "int": "1",
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "file_type": "csv",
}


class LetIn(MiddlewareMixin):
    """The last middleware: whoever gets here would have got the view."""

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse:
        return HttpResponse(status=LET_IN)


@dataclass(frozen=True)
class Route:
    """One address of the hub."""

    key: str
    path: str
    is_api: bool


def all_routes() -> list[Route]:
    """Every route of the URL configuration, with an address that leads to it.

    Of Django's admin, whose routes have one rule, a few.
    """
    found: dict[str, Route] = {}
    of_the_admin = 0
    for path in _paths(get_resolver().url_patterns, "/"):
        match = resolve(path)
        key = rule_key(match)
        of_the_admin += key == "admin:*"
        if key != "admin:*" or of_the_admin <= OF_THE_ADMIN:
            found[path] = Route(key, path, match.app_name == API_APP_NAME)
    return list(found.values())


def _paths(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for each in patterns:
        path = before + _sample(each.pattern)
        if isinstance(each, URLResolver):
            yield from _paths(each.url_patterns, path)
        else:
            yield path


def _sample(pattern: Any) -> str:
    """A text that the pattern takes."""
    if isinstance(pattern, RoutePattern):
        return re.sub(
            r"<(?:(\w+):)?(\w+)>", lambda it: SAMPLES.get(it[1] or it[2], "x"), str(pattern)
        )
    text, names = normalize(pattern.regex.pattern)[0]
    return text % {name: SAMPLES.get(name, "x") for name in names}


@pytest.fixture(autouse=True)
def _no_view(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.LetIn"]


def let_in(client: Client, method: str, route: Route, **headers: str) -> bool:
    answer = client.generic(method, route.path, headers=headers)
    assert answer.status_code in {LET_IN, 302, 401, 403}, (method, route.path)
    return answer.status_code == LET_IN


def wrong(client: Client, role: Role | None, routes: list[Route], **headers: str) -> list[str]:
    """Where the answer differs from what the rules say."""
    return [
        f"{method} {route.path}"
        for route in routes
        for method in (*METHODS, *rule_named(route.key).of_method)
        if let_in(client, method, route, **headers) != rule_named(route.key).lets(role, method)
    ]


class TestTheTable:
    def test_every_route_has_a_rule(self) -> None:
        assert [route.path for route in all_routes() if route.key not in RULES] == []

    def test_every_rule_has_a_route(self) -> None:
        assert set(RULES) - {route.key for route in all_routes()} == set()

    def test_who_has_not_signed_in_sees_the_door_and_the_documents_alone(self) -> None:
        open_to_all = {key for key, rule in RULES.items() if rule.look is None}
        assert open_to_all == {
            "accounts:join",
            "accounts:setup",
            "accounts:sign_in",
            "accounts:sign_out",
            "admin-sign-in",
            "favicon",
            "healthz:live",
            "healthz:ready",
            "admin/api/docs",
            "admin/api/openapi.json",
            "api/",
            "api/docs",
            "api/openapi.json",
            "v1/",
            "v1/docs",
            "v1/openapi.json",
        }

    def test_a_viewer_changes_nothing_but_their_own_account(self) -> None:
        acting = {
            key
            for key, rule in RULES.items()
            if rule.look is not None and rule.lets(Role.VIEWER, "POST")
        }
        assert acting == {
            "home",
            "accounts:account",
            # Questions that are too long for an address.
            "api/training/preflight",
            "v1/detokenize",
            "v1/messages/count_tokens",
            "v1/tokenize",
        }

    def test_people_secrets_and_the_log_are_the_owners(self) -> None:
        for beginning in ("audit:", "admin:", "usage:", "api/audit", "api/usage"):
            rules = {key: rule for key, rule in RULES.items() if key.startswith(beginning)}
            assert rules, beginning
            assert [key for key, rule in rules.items() if rule.lets(Role.MEMBER, "GET")] == []


class TestAHubThatOthersCanReach:
    @pytest.mark.parametrize("role", ROLES)
    def test_a_session_opens_what_its_role_may(
        self, client_of: ClientOf, role: Role | None
    ) -> None:
        assert wrong(client_of(role), role, all_routes()) == []

    @pytest.mark.parametrize("role", list(Role))
    def test_a_key_opens_what_its_account_may(
        self, client_of: ClientOf, people: dict[Role, User], role: Role
    ) -> None:
        _, key = create_key(name="key", may_manage=True, user_id=people[role].pk)
        calls = [route for route in all_routes() if route.is_api]
        assert wrong(client_of(None), role, calls, x_api_key=key) == []

    def test_a_key_opens_no_page(self, client_of: ClientOf, people: dict[Role, User]) -> None:
        _, key = create_key(name="key", may_manage=True, user_id=people[Role.OWNER].pk)
        pages = [route for route in all_routes() if not route.is_api]
        assert wrong(client_of(None), None, pages, x_api_key=key) == []

    def test_files_of_the_pages_are_for_all(self, client_of: ClientOf, settings: Any) -> None:
        settings.WHITENOISE_USE_FINDERS = True
        answer = client_of(None).get("/static/css/tokens.css")
        answer.close()
        assert answer.status_code == 200


class TestAHubOfOneMachine:
    def test_everything_is_open_to_whoever_sits_there(self, client: Client) -> None:
        assert wrong(client, Role.OWNER, all_routes()) == []

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"]
    )
    def test_what_was_passed_on_is_nobodys(self, client: Client, header: str) -> None:
        routes = all_routes() if header == "Forwarded" else all_routes()[::20]
        assert wrong(client, None, routes, **{header: "10.0.0.1"}) == []

    def test_a_refusal_says_what_to_set(self, client: Client) -> None:
        answer = client.get("/models/", headers={"X-Forwarded-For": "127.0.0.1"})
        assert "MLXHUB_TRUSTED_PROXIES" in answer.content.decode()
