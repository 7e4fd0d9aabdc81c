"""Who makes a request, and with which role.

Where only this machine reaches the hub, whoever asks is its owner and needs no sign-in. That
holds for direct requests alone: one that a proxy or a tunnel passed on, as its headers tell,
may be anybody's, and nothing in it is believed. Everywhere else a session says who it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest

from apps.accounts import sessions
from apps.accounts.roles import Role, role_of
from apps.audit.actors import Actor

_FORWARDING_HEADERS = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)

FORWARDED_REMEDY = (
    "A proxy or a tunnel passed this request on, so the hub can't tell whether it is its owner's. "
    "Open the hub directly on its machine; or let people sign in: set MLXHUB_TRUSTED_PROXIES to "
    "the proxy's address, or MLXHUB_REQUIRE_LOGIN=1, and start the hub again."
)


@dataclass(frozen=True)
class Identity:
    """The role is None where nobody signed in."""

    role: Role | None
    actor: Actor


class ForwardedRequest(Exception):
    """A request that came through a proxy reached a hub without sign-in."""

    def __init__(self) -> None:
        super().__init__(FORWARDED_REMEDY)


def address_of(request: HttpRequest) -> str:
    """The caller's network address. uvicorn sets it: behind a trusted proxy, the client's."""
    return str(request.META.get("REMOTE_ADDR") or "")


def was_forwarded(request: HttpRequest) -> bool:
    """Whether a header tells of something between the client and the hub."""
    return any(
        name.lower().startswith("x-forwarded-") or name.lower() in _FORWARDING_HEADERS
        for name in request.headers
    )


def nobody(request: HttpRequest) -> Identity:
    """Somebody who has not said who they are."""
    return Identity(None, Actor("nobody", address=address_of(request)))


def identify(request: HttpRequest) -> Identity:
    """Who asks, keys aside. May read the database. Raises ForwardedRequest."""
    if not settings.HUB.sign_in_required:
        if was_forwarded(request):
            raise ForwardedRequest
        return Identity(Role.OWNER, Actor("owner", address=address_of(request)))
    user = request.user
    role = role_of(user)
    if role is None:
        return nobody(request)
    if sessions.is_over(request):
        logout(request)
        return nobody(request)
    sessions.note_use(request)
    address, owns = address_of(request), role is Role.OWNER
    actor = Actor("user", user.get_username(), cast(int, user.pk), address, owns)
    return Identity(role, actor)


def identity_of(request: HttpRequest) -> Identity:
    """Who the gate found the request to be from. Of one that met no route, as far as it tells."""
    found: Identity | None = getattr(request, "identity", None)
    if found is not None:
        return found
    if not hasattr(request, "user"):
        return nobody(request)  # refused before anything was looked up
    try:
        return identify(request)
    except ForwardedRequest:
        return nobody(request)


def set_identity(request: HttpRequest, identity: Identity) -> None:
    """For what lets requests in."""
    request.identity = identity  # type: ignore[attr-defined]
