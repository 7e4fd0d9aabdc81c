"""What is too old goes, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from apps.retention import aging
from apps.retention.aging import delete_in_batches, delete_older

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> QuerySet[Session]:
    """Sessions that ended 29, 30 and 31 days ago, the last a second earlier."""
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=str(days), expire_date=now - timedelta(days=days, seconds=days - 30))
        for days in (29, 30, 31)
    )
    return Session.objects.all()


def test_what_is_older_goes_and_the_rest_stays(rows: QuerySet[Session]) -> None:
    assert delete_older(rows, "expire_date", days=30) == 2
    assert [row.session_key for row in rows.all()] == ["29"]


def test_zero_days_keep_everything(rows: QuerySet[Session]) -> None:
    assert delete_older(rows, "expire_date", days=0) == 0
    assert rows.count() == 3


def test_it_goes_on_over_many(rows: QuerySet[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "BATCH", 2)
    assert delete_in_batches(rows) == 3
    assert not rows.exists()
