"""The audit log over REST, at /api/audit. The owner's alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, BeforeValidator, Field

from apps.audit.filters import AuditFilter
from apps.audit.models import AuditEntry

router = Router(tags=["Audit"])


Day = Annotated[date, BeforeValidator(date.fromisoformat)]
"""Written in full; pydantic alone would take 0 for the first of January 1970."""


class AuditEntryOut(BaseModel):
    at: datetime
    actor_kind: str = Field(description="`owner`, `user`, `key`, `program` or `nobody`.")
    actor: str
    address: str = Field(description="Empty: not over a network.")
    action: str
    subject: str
    outcome: AuditEntry.Outcome
    detail: dict[str, str | int | float | bool | None]

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryOut:
        return cls(
            at=entry.at,
            actor_kind=entry.actor_kind,
            actor=entry.actor_name,
            address=entry.address,
            action=entry.action,
            subject=entry.subject,
            outcome=AuditEntry.Outcome(entry.outcome),
            detail=entry.detail,
        )


class AuditPage(BaseModel):
    entries: list[AuditEntryOut]
    total: int


@router.get("/audit", response=AuditPage, summary="Who did what")
def list_audit(
    request: HttpRequest,
    q: Annotated[str, Query(max_length=200, description="Words that an entry has to have.")] = "",
    outcome: Literal["", "done", "refused", "failed"] = "",
    first: Annotated[Day | None, Query(description="The first day, in UTC.")] = None,
    last: Annotated[Day | None, Query(description="The last day, in UTC.")] = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> AuditPage:
    """The newest first."""
    form = AuditFilter({"q": q, "outcome": outcome, "first": first, "last": last})
    found = form.entries() if form.is_valid() else AuditEntry.objects.none()
    page = found[offset : offset + limit]
    return AuditPage(entries=[AuditEntryOut.of(each) for each in page], total=found.count())
