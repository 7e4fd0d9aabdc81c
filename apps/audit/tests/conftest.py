"""The small cast of the audit log's tests."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEntry
from apps.audit.recording import record


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    return [
        record("model.delete", "tiny"),
        record("session.begin", "ada", outcome=AuditEntry.Outcome.REFUSED),
        record("user.role", "grace", role="viewer"),
    ]
