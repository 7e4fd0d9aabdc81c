"""Writing the audit log.

Called inside the transaction of what it records, so that there is neither an action without
its entry nor an entry of what was rolled back. Refusals are written on their own.

Details are told by the caller, field by field: no form and no body is ever copied, so no
password, key or token comes in.
"""

from __future__ import annotations

from apps.audit.actors import Actor, current_actor
from apps.audit.models import AuditEntry
from apps.redaction.text import redacted

Detail = str | int | float | bool | None


def record(
    action: str,
    subject: object = "",
    *,
    outcome: AuditEntry.Outcome = AuditEntry.Outcome.DONE,
    actor: Actor | None = None,
    **detail: Detail,
) -> AuditEntry:
    """Note that ``action`` was done to ``subject`` by whoever acts now."""
    who = actor or current_actor()
    return AuditEntry.objects.create(
        actor_kind=who.kind,
        actor_name=who.name[:150],
        user_id=who.user_id,
        address=who.address[:45],
        action=action[:80],
        subject=redacted(str(subject))[:300],
        detail={name: _kept(value) for name, value in detail.items()},
        outcome=outcome,
    )


def refused(action: str, subject: object = "", *, why: str, actor: Actor | None = None) -> None:
    """Note that somebody wanted to and was not let."""
    record(action, subject, outcome=AuditEntry.Outcome.REFUSED, actor=actor, why=why)


def _kept(value: Detail) -> Detail:
    return redacted(value)[:500] if isinstance(value, str) else value
