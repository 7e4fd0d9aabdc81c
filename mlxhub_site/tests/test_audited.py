"""What the audit log has of pages, calls, jobs and Django's admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.accounts.roles import Role
from apps.audit.models import AuditEntry
from apps.audit.recording import record
from apps.inference.engine.protocol import LoadModel
from apps.inference.keys.services import create_key
from apps.jobs import control
from apps.models.deleting import delete_model
from apps.models.models import LocalModel
from apps.models.services import save_settings
from apps.models.work.services import order_verification
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


class TestWhatIsRecorded:
    def test_a_models_life(self, tiny: LocalModel) -> None:
        save_settings(model=tiny)
        delete_model(model=tiny)
        assert actions() == ["model.add", "model.settings", "model.delete"]

    def test_a_jobs_life(self, tiny: LocalModel) -> None:
        AuditEntry.objects.all().delete()
        job = order_verification(model=tiny)
        control.cancel(job)
        control.requeue(job)
        control.pause(job)
        job.delete()
        assert actions() == [
            "model-job.order",
            "model-job.cancel",
            "model-job.resume",
            "model-job.pause",
            "model-job.delete",
        ]

    def test_what_is_loaded_and_unloaded_on_a_page_and_by_a_call(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        AuditEntry.objects.all().delete()
        client.post("/engine/models/tiny/load/")
        client.post("/engine/models/tiny/unload/")
        client.post("/api/models/tiny/load")
        client.post("/api/models/tiny/unload")
        assert actions() == ["model.load", "model.unload"] * 2
        assert {entry.subject for entry in AuditEntry.objects.all()} == {"Tiny"}

    def test_a_load_that_failed_with_its_reason(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine.once(LoadModel, failure("insufficient_memory", "It needs 9 GB."))
        assert client.post("/api/models/tiny/load").status_code == 503
        entry = AuditEntry.objects.get(action="model.load")
        assert (entry.outcome, entry.detail) == ("failed", {"why": "It needs 9 GB."})

    def test_what_a_person_does_on_a_page(
        self, client_of: ClientOf, people: dict[Role, User], tiny: LocalModel
    ) -> None:
        member = client_of(Role.MEMBER)
        assert member.post("/models/tiny/verify/").status_code == 302
        entry = AuditEntry.objects.get(action="model-job.order")
        assert (entry.actor_kind, entry.actor_name) == ("user", "member")
        assert (entry.user, entry.address) == (people[Role.MEMBER], "127.0.0.1")

    def test_what_a_key_does(
        self, client_of: ClientOf, people: dict[Role, User], tiny: LocalModel
    ) -> None:
        _, key = create_key(name="laptop", may_manage=True, user_id=people[Role.MEMBER].pk)
        answer = client_of(None).post(
            "/api/models/tiny/verify", content_type="application/json", headers={"x-api-key": key}
        )
        assert answer.status_code == 202, answer.content
        entry = AuditEntry.objects.get(action="model-job.order")
        assert (entry.who, entry.user) == ("key laptop", people[Role.MEMBER])

    def test_what_the_owner_of_the_machine_does(self, client: Client, tiny: LocalModel) -> None:
        client.post("/models/tiny/verify/")
        assert AuditEntry.objects.get(action="model-job.order").who == "owner, at this machine"

    def test_what_somebody_was_not_let(self, client_of: ClientOf, tiny: LocalModel) -> None:
        client_of(Role.VIEWER).post("/models/tiny/delete/")
        entry = AuditEntry.objects.get(outcome="refused")
        assert (entry.who, entry.action) == ("viewer", "models:delete")
        assert "takes the role member" in entry.detail["why"]

    def test_what_a_call_was_not_let(self, client_of: ClientOf, people: dict[Role, User]) -> None:
        _, key = create_key(name="laptop", may_manage=True, user_id=people[Role.VIEWER].pk)
        answer = client_of(None).delete("/api/models/tiny", headers={"x-api-key": key})
        assert answer.status_code == 403
        entry = AuditEntry.objects.get(outcome="refused")
        assert (entry.who, entry.action) == ("key laptop", "api/models/<str:slug>")
        assert (entry.subject, "takes the role" in entry.detail["why"]) == (
            "/api/models/tiny",
            True,
        )

    def test_what_djangos_admin_changes(self, admin_client: Client) -> None:
        admin_client.post(
            "/admin/auth/group/add/", {"name": "a group", "permissions": []}, follow=True
        )
        entry = AuditEntry.objects.get(action="admin.add")
        assert entry.subject == "a group"


class TestAReader:
    def test_finds_no_secret(self) -> None:
        _, key = create_key(name="ada")
        entry = record("x", f"with {key}", token="hf_abcdefghijklmnopqrstuvwx")
        assert key not in entry.subject
        assert "abcdefghijkl" not in str(entry.detail)
        assert key not in str(list(AuditEntry.objects.values()))

    def test_is_an_owners(self, client_of: ClientOf) -> None:
        assert client_of(Role.MEMBER).get("/api/audit").status_code == 403
