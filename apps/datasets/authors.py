"""Whose name a version bears."""

from __future__ import annotations

from django.http import HttpRequest

from apps.datasets.services import OWNER


def author_of(request: HttpRequest) -> str:
    """The name of who signed in; where nobody need to, the machine's owner."""
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else OWNER
