"""Which role a route asks for.

Rules are declared in one table (``settings.ACCESS_RULES``), by a page's URL name or an API
call's route. A route that is in no table is the owner's alone, and fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from django.conf import settings
from django.urls import ResolverMatch
from django.utils.module_loading import import_string

from apps.accounts.roles import Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

API_APP_NAME = "ninja"
"""The URL application name that django-ninja gives each of its APIs."""


@dataclass(frozen=True)
class Rule:
    """Who may look (safe methods) and who may act (all others). None: anybody, signed in or not."""

    look: Role | None
    act: Role | None
    of_method: Mapping[str, Role] = field(default_factory=dict)
    """Where one route's methods differ in weight."""

    def needed(self, method: str | None) -> Role | None:
        """The lowest role that ``method`` takes."""
        if method is not None and method in self.of_method:
            return self.of_method[method]
        return self.look if method in SAFE_METHODS else self.act

    def lets(self, role: Role | None, method: str | None) -> bool:
        """Whether somebody with ``role`` may; None is somebody who has not signed in."""
        needed = self.needed(method)
        return needed is None or (role is not None and role >= needed)


UNDECLARED = Rule(Role.OWNER, Role.OWNER)


def rule_key(match: ResolverMatch) -> str:
    """What a route is called in the table.

    An API's routes go by their address: their names repeat. Django's admin is one entry.
    """
    if match.app_name == API_APP_NAME:
        return match.route
    if match.app_name == "admin":
        return "admin:*"
    return match.view_name


def rule_for(match: ResolverMatch) -> Rule:
    """The rule of the route that was found; the owner's alone where none is declared."""
    return rule_named(rule_key(match))


def rule_named(key: str) -> Rule:
    """The same by the table's own word for the route."""
    return _table().get(key, UNDECLARED)


@cache
def _table() -> Mapping[str, Rule]:
    return cast("Mapping[str, Rule]", import_string(settings.ACCESS_RULES))
