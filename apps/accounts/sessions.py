"""How long a sign-in lasts: so long after it, and so long after the last thing its person did.

Django's own expiry is one date that every save moves. What pages ask for by themselves, such as
the status bar, counts as nothing done, or an open tab would keep a session for ever.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.rules import SAFE_METHODS

_BEGUN = "signed_in_at"
_SEEN = "seen_at"

NOTED_EVERY = timedelta(minutes=5)
"""A session's last use is as exact as this, so that reading pages writes little."""


@receiver(user_logged_in)
def _begin(request: HttpRequest, **signal: Any) -> None:
    now = time.time()
    request.session[_BEGUN] = request.session[_SEEN] = now
    # No timer needed: whoever signs in sweeps up behind those who left.
    Session.objects.filter(expire_date__lt=timezone.now()).delete()


def is_over(request: HttpRequest) -> bool:
    """Whether the sign-in is too old, or was left alone too long."""
    now = time.time()
    begun, seen = request.session.get(_BEGUN, 0.0), request.session.get(_SEEN, 0.0)
    longest = timedelta(days=settings.HUB.session_days).total_seconds()
    idle = timedelta(hours=settings.HUB.session_idle_hours).total_seconds()
    return bool(now - begun > longest or now - seen > idle)


def note_use(request: HttpRequest) -> None:
    """Its person did something, unless a page asked by itself."""
    by_itself = request.method in SAFE_METHODS and "HX-Request" in request.headers
    now = time.time()
    if not by_itself and now - request.session[_SEEN] > NOTED_EVERY.total_seconds():
        request.session[_SEEN] = now
