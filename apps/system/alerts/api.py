"""Alerts over REST, at /api/system/alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field

from apps.system.alerts.models import Alert

router = Router(tags=["System"])


class AlertOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: str = Field(description="The rule: engine, memory, disk, jobs, errors or certificate.")
    subject: str = Field(description="What it is about, where a rule is about several.")
    summary: str
    remedy: str
    page: str = Field(description="The path on this hub where it is shown; empty: nowhere.")
    started_at: datetime
    resolved_at: datetime | None = Field(description="Null: it fires.")


class Alerts(BaseModel):
    alerts: list[AlertOut] = Field(description="Those that began last first.")


@router.get("/system/alerts", response=Alerts, summary="Alerts that fire, and past ones")
def get_alerts(
    request: HttpRequest,
    firing: Annotated[bool, Query(description="Only those that fire now.")] = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Alerts:
    """What somebody should know of."""
    found = Alert.objects.firing() if firing else Alert.objects.all()
    return Alerts(alerts=[AlertOut.model_validate(alert) for alert in found[:limit]])
