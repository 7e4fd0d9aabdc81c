"""The Users page, invitations, and one's own account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.accounts.invitations import invitation_path
from apps.accounts.roles import Role
from apps.accounts.services import LastOwner, create_account, reset_password, set_active, set_role
from apps.audit.models import AuditEntry
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

NEW = "another long one"


def text_of(answer: Any) -> str:
    return answer.content.decode()


@pytest.fixture
def owner(client_of: ClientOf) -> Client:
    return client_of(Role.OWNER)


class TestAnInvitation:
    def test_made_at_the_hub_itself_says_that_the_link_leads_there_only(
        self, owner: Client
    ) -> None:
        order = {"name": "ada", "role": Role.VIEWER}
        page = text_of(owner.post("/users/invite/", order, headers={"host": "127.0.0.1:8080"}))
        assert "http://127.0.0.1:8080/join/" in page
        assert "put the hub's address in the network in its place" in page

    def test_is_a_link_by_which_somebody_sets_a_password(self, owner: Client) -> None:
        page = text_of(owner.post("/users/invite/", {"name": "ada", "role": Role.VIEWER}))
        link = re.search(r"http://testserver(/join/[^<\s]+)", page)
        assert link is not None
        guest = Client()
        assert "For the account <strong>ada</strong>" in text_of(guest.get(link[1]))
        assert guest.post(link[1], {"password": NEW}).status_code == 302
        assert guest.get("/models/").status_code == 200
        assert User.objects.get(username="ada").check_password(NEW)

    def test_works_once(self, owner: Client) -> None:
        user = create_account(name="ada", role=Role.MEMBER)
        link = invitation_path(user)
        Client().post(link, {"password": NEW})
        assert Client().get(link).status_code == 404

    def test_ends_with_a_newer_one_and_with_the_account(self, owner: Client) -> None:
        user = create_account(name="ada", role=Role.MEMBER)
        old = invitation_path(user)
        reset_password(user)
        assert Client().get(old).status_code == 404
        new = invitation_path(user)
        set_active(user, active=False)
        assert Client().get(new).status_code == 404

    @pytest.mark.parametrize("number", ["x", "MQ", "AAAA", "_____", "9" * 60])
    def test_that_is_made_up_opens_nothing(self, owner: Client, number: str) -> None:
        assert Client().get(f"/join/{number}/abc-def/").status_code == 404

    def test_is_for_one_name_whatever_its_case(self, owner: Client) -> None:
        create_account(name="Ada", role=Role.MEMBER)
        page = text_of(owner.post("/users/invite/", {"name": "ada", "role": Role.MEMBER}))
        assert "There is an account" in page


class TestARole:
    def test_is_changed_by_an_owner(self, owner: Client, people: dict[Role, User]) -> None:
        viewer = people[Role.VIEWER]
        owner.post(f"/users/{viewer.pk}/role/", {"role": Role.OWNER})
        viewer.refresh_from_db()
        assert viewer.is_superuser
        assert viewer.account.role == Role.OWNER
        entry = AuditEntry.objects.get(action="user.role")
        assert (entry.actor_name, entry.subject, entry.detail) == (
            "owner",
            "viewer",
            {"role": "owner"},
        )

    def test_stays_with_the_last_owner(self, owner: Client, people: dict[Role, User]) -> None:
        page = owner.post(
            f"/users/{people[Role.OWNER].pk}/role/", {"role": Role.MEMBER}, follow=True
        )
        assert "owner is the only owner" in text_of(page)
        with pytest.raises(LastOwner):
            set_active(people[Role.OWNER], active=False)
        assert User.objects.get(username="owner").is_superuser

    def test_that_does_not_exist_is_refused(self, owner: Client, people: dict[Role, User]) -> None:
        page = owner.post(f"/users/{people[Role.VIEWER].pk}/role/", {"role": "9"}, follow=True)
        assert "There is no such role" in text_of(page)

    def test_of_an_owner_passes_on(self, people: dict[Role, User]) -> None:
        set_role(people[Role.MEMBER], Role.OWNER)
        set_role(people[Role.OWNER], Role.MEMBER)
        assert not User.objects.get(username="owner").is_staff


class TestAnAccount:
    def test_is_switched_off_and_on(self, owner: Client, people: dict[Role, User]) -> None:
        address = f"/users/{people[Role.MEMBER].pk}/switch/"
        owner.post(address, {"active": "false"})
        assert not User.objects.get(username="member").is_active
        assert "Switch on" in text_of(owner.get("/users/"))
        owner.post(address, {"active": "true"})
        assert User.objects.get(username="member").is_active
        assert list(
            AuditEntry.objects.filter(subject="member")
            .exclude(action="user.create")
            .values_list("action", flat=True)
        ) == ["user.enable", "user.disable"]

    def test_gets_another_password_from_who_knows_the_old_one(self, client_of: ClientOf) -> None:
        user = create_account(name="ada", role=Role.MEMBER, password="a long enough one")
        mine, elsewhere = Client(), Client()
        mine.force_login(user)
        elsewhere.force_login(user)
        form = {"old": "a long enough one", "password": NEW}
        assert "not your password" in text_of(mine.post("/account/", form | {"old": "x"}))
        assert mine.post("/account/", form).status_code == 302
        assert mine.get("/account/").status_code == 200
        assert elsewhere.get("/account/").status_code == 302

    def test_of_a_hub_for_one_machine_is_not_needed(self, client: Client) -> None:
        assert "nobody needs an account" in text_of(client.get("/account/"))
        assert "nobody has to sign in" in text_of(client.get("/users/"))

    def test_names_are_escaped(self, client: Client) -> None:
        User.objects.create_user("<script>alert(1)</script>")
        assert "<script>alert" not in text_of(client.get("/users/"))


class TestTheAdmin:
    def test_has_the_hubs_own_sign_in(self, client_of: ClientOf) -> None:
        answer = client_of(None).get("/admin/login/?next=/admin/")
        assert answer.headers["Location"] == "/sign-in/?next=/admin/"

    def test_is_an_owners(self, client_of: ClientOf) -> None:
        assert client_of(Role.MEMBER).get("/admin/").status_code == 403
        assert client_of(Role.OWNER).get("/admin/").status_code == 200
