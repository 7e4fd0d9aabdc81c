"""The audit log: what is in it, whose it is, and how it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from apps.audit.actors import Actor, acting
from apps.audit.models import AuditEntry
from apps.audit.recording import record
from apps.audit.tasks import forget_old_entries

pytestmark = pytest.mark.django_db


class TestAnEntry:
    def test_is_rolled_back_with_what_it_is_about(self) -> None:
        with transaction.atomic():
            record("model.delete", "tiny")
            transaction.set_rollback(True)
        assert not AuditEntry.objects.exists()

    def test_names_who_acts_and_from_where(self) -> None:
        with acting(Actor("user", "ada", None, "10.0.0.9")):
            entry = record("model.delete", "tiny")
        assert (entry.who, entry.address) == ("ada", "10.0.0.9")
        assert record("model.delete").who.startswith("command or worker")

    def test_stays_when_the_account_is_gone(self) -> None:
        user = User.objects.create_user("ada")
        with acting(Actor("user", "ada", user.pk)):
            entry = record("model.delete", "tiny")
        user.delete()
        entry.refresh_from_db()
        assert (entry.user, entry.who) == (None, "ada")


class TestThePage:
    def test_shows_the_newest_first_and_searches(
        self, client: Client, entries: list[AuditEntry]
    ) -> None:
        page = client.get("/audit/").content.decode()
        assert page.index("user.role") < page.index("model.delete")
        found = client.get("/audit/", {"q": "tiny DELETE"}).content.decode()
        assert "model.delete" in found
        assert "user.role" not in found

    def test_finds_an_action_by_its_words_too(
        self, client: Client, entries: list[AuditEntry]
    ) -> None:
        found = client.get("/audit/", {"q": "sign IN"}).content.decode()
        assert "Sign in" in found
        assert "Delete model" not in found

    def test_filters_by_outcome_and_day(self, client: Client, entries: list[AuditEntry]) -> None:
        AuditEntry.objects.filter(action="user.role").update(at=timezone.now() - timedelta(days=10))
        refused = client.get("/audit/", {"outcome": "refused"}).content.decode()
        assert "session.begin" in refused
        assert "model.delete" not in refused
        today = timezone.now().date().isoformat()
        recent = client.get("/audit/", {"first": today, "last": today}).content.decode()
        assert "user.role" not in recent

    def test_says_what_is_wrong_with_a_filter(self, client: Client) -> None:
        page = client.get("/audit/", {"first": "2026-02-02", "last": "2026-02-01"})
        assert "The first day is after the last one." in page.content.decode()
        assert client.get("/audit/", {"first": "nonsense", "last": "9999-12-31"}).status_code == 200

    def test_escapes_what_others_wrote(self, client: Client) -> None:
        record("model.delete", "<script>alert(1)</script>", note="<img src=x>")
        page = client.get("/audit/").content.decode()
        assert "<script>alert" not in page
        assert "<img src=x>" not in page

    def test_says_what_will_stand_there(self, client: Client) -> None:
        assert "Nothing was done yet." in client.get("/audit/").content.decode()


class TestTheApi:
    def test_gives_entries_and_their_number(
        self, client: Client, entries: list[AuditEntry]
    ) -> None:
        answer = client.get("/api/audit", {"limit": 1, "outcome": "done"}).json()
        assert answer["total"] == 2
        assert answer["entries"][0]["action"] == "user.role"
        assert answer["entries"][0]["detail"] == {"role": "viewer"}


class TestAge:
    def test_deletes_entries_and_nothing_else_does(
        self, entries: list[AuditEntry], settings: Any
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"audit_days": 365})
        old = timezone.now() - timedelta(days=366)
        AuditEntry.objects.filter(action="user.role").update(at=old)
        forget_old_entries.call_local()
        assert not AuditEntry.objects.filter(action="user.role").exists()
        assert AuditEntry.objects.count() == 2
