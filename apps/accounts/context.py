"""What every page knows of who looks at it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.accounts.identity import identity_of


def visitor(request: HttpRequest) -> dict[str, Any]:
    """``visitor``: the role, the account's name, and whether there is anything to sign out of."""
    identity = identity_of(request)
    return {
        "visitor": {
            "role": identity.role,
            "name": identity.actor.name,
            "signs_in": settings.HUB.sign_in_required,
        }
    }
