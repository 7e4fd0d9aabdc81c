"""What load balancers and service managers ask: no login, no detail, and an answer at once.

live: the process answers. ready: a chat would be answered.
"""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.inference.client import EngineClient, EngineError
from apps.inference.snapshot import stall

PATIENCE = 1.0
"""Seconds that the engine has to answer."""


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """200 for as long as this process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 where database and engine answer, 503 elsewhere."""
    if _database_answers() and _engine_works():
        return HttpResponse("ok\n", content_type="text/plain")
    return HttpResponse("not ready\n", content_type="text/plain", status=503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _engine_works() -> bool:
    client = EngineClient(settings.HUB.engine_socket, silence_timeout=PATIENCE)
    try:
        return not stall(client.status())
    except EngineError:
        return False
