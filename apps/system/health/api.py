"""GET /admin/health: the checks for programs. A browser is led to the page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from ninja import Router, Status

from apps.system.health import run_checks
from apps.system.health.schemas import HealthOut

router = Router()


@router.get(
    "/health",
    response={200: HealthOut, 503: HealthOut},
    summary="Whether the hub works",
    tags=["Health"],
)
def get_health(request: HttpRequest) -> Status[HealthOut] | HttpResponseBase:
    """Asks every part for something small; 503 where no chat can be answered."""
    if request.accepts("text/html") and not request.accepts("application/json"):
        return redirect("system:health")
    report = run_checks()
    return Status(503 if report.state == "down" else 200, HealthOut.of(report))
