"""Signing in and out: the session's life, the throttle, and where a sign-in leads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from apps.accounts import throttle
from apps.accounts.models import FailedSignIn
from apps.accounts.roles import Role
from apps.accounts.services import change_password, create_account, set_active, set_role
from apps.audit.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_hub")]

PASSWORD = "a long enough one"
COOKIE = "mlxhub_session"


@pytest.fixture
def ada() -> User:
    create_account(name="root", role=Role.OWNER, password=PASSWORD)
    return create_account(name="ada", role=Role.MEMBER, password=PASSWORD)


def sign_in(
    client: Client,
    name: str = "ada",
    password: str = PASSWORD,
    *,
    address: str = "10.0.0.9",
    **more: str,
) -> Any:
    form = {"name": name, "password": password} | more
    return client.post("/sign-in/", form, REMOTE_ADDR=address)


def is_in(client: Client) -> bool:
    return client.get("/models/").status_code == 200


class TestAName:
    def test_and_its_password_open_the_hub(self, client: Client, ada: User) -> None:
        assert sign_in(client).headers["Location"] == "/"
        assert is_in(client)

    @pytest.mark.parametrize(
        ("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ADA", PASSWORD)]
    )
    def test_with_a_wrong_password_and_an_unknown_name_are_told_the_same(
        self, client: Client, ada: User, name: str, password: str
    ) -> None:
        answer = sign_in(client, name, password)
        assert "There is no such name with this password." in answer.content.decode()
        assert not is_in(client)

    def test_of_an_account_that_is_off_does_not(self, client: Client, ada: User) -> None:
        set_active(ada, active=False)
        sign_in(client)
        assert not is_in(client)

    def test_that_nobody_has_is_not_written_down(self, client: Client, ada: User) -> None:
        sign_in(client, "my-password-by-mistake")
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.outcome, entry.subject) == ("session.begin", "refused", "")
        assert "mistake" not in str(list(FailedSignIn.objects.values()))


class TestASession:
    def test_gets_a_new_key_with_the_sign_in(self, client: Client, ada: User) -> None:
        """Session fixation: what an attacker planted before opens nothing afterwards."""
        session = client.session
        session["planted"] = True
        session.save()
        planted = session.session_key
        client.cookies[COOKIE] = planted
        sign_in(client)
        assert client.cookies[COOKIE].value != planted
        other = Client()
        other.cookies[COOKIE] = planted
        assert not is_in(other)

    def test_has_a_cookie_that_scripts_and_other_sites_do_not_get(
        self, client: Client, ada: User
    ) -> None:
        sign_in(client)
        cookie = client.cookies[COOKIE]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert not cookie["secure"]

    def test_has_a_secure_cookie_on_an_encrypted_connection(
        self, client: Client, ada: User
    ) -> None:
        client.post("/sign-in/", {"name": "ada", "password": PASSWORD}, secure=True)
        assert client.cookies[COOKIE]["secure"]

    def test_ends_with_the_sign_out(self, client: Client, ada: User) -> None:
        sign_in(client)
        kept = client.cookies[COOKIE].value
        client.post("/sign-out/")
        client.cookies[COOKIE] = kept
        assert not is_in(client)

    def test_ends_when_it_is_too_old(self, client: Client, ada: User, age: Any) -> None:
        sign_in(client)
        for _ in range(13):
            age(client, timedelta(days=1), idle=timedelta(days=1))
            assert is_in(client)
        age(client, timedelta(days=1), idle=timedelta(days=1))
        assert not is_in(client)

    def test_ends_when_nothing_is_done_for_long(self, client: Client, ada: User, age: Any) -> None:
        sign_in(client)
        age(client, timedelta(hours=73), idle=timedelta(hours=73))
        assert not is_in(client)

    def test_is_not_kept_alive_by_what_a_page_asks_by_itself(
        self, client: Client, ada: User, age: Any
    ) -> None:
        sign_in(client)
        age(client, timedelta(hours=70), idle=timedelta(hours=70))
        assert client.get("/models/", headers={"HX-Request": "true"}).status_code == 200
        age(client, timedelta(hours=70), idle=timedelta(hours=3))
        assert not is_in(client)

    def test_ends_with_a_new_password_elsewhere(self, client: Client, ada: User) -> None:
        sign_in(client)
        change_password(ada, "another long one")
        assert not is_in(client)

    def test_ends_when_the_account_is_switched_off(self, client: Client, ada: User) -> None:
        sign_in(client)
        set_active(ada, active=False)
        assert not is_in(client)

    def test_has_the_role_of_now(self, client: Client, ada: User) -> None:
        sign_in(client)
        assert client.get("/audit/").status_code == 403
        set_role(ada, Role.OWNER)
        assert client.get("/audit/").status_code == 200

    def test_of_others_that_is_over_is_swept_up(self, client: Client, ada: User) -> None:
        sign_in(Client())
        Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
        sign_in(client)
        assert Session.objects.count() == 1

    @pytest.fixture
    def age(self) -> Any:
        def older(client: Client, by: timedelta, *, idle: timedelta) -> None:
            session = client.session
            session["signed_in_at"] -= by.total_seconds()
            session["seen_at"] = session["seen_at"] - idle.total_seconds()
            session.save()

        return older


class TestWhereItLeads:
    def test_to_the_page_that_was_asked_for(self, client: Client, ada: User) -> None:
        asked = client.get("/models/?sort=name")
        assert asked.headers["Location"] == "/sign-in/?next=/models/%3Fsort%3Dname"
        page = client.get(asked.headers["Location"]).content.decode()
        assert 'name="next" value="/models/?sort=name"' in page
        assert (
            sign_in(client, next="/models/?sort=name").headers["Location"] == "/models/?sort=name"
        )

    @pytest.mark.parametrize(
        "elsewhere",
        [
            "https://evil.example/",
            "//evil.example/",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
            "http:evil.example",
            "/\t/evil.example",
            " //evil.example",
            "//testserver@evil.example/",
        ],
    )
    def test_never_to_another_site(self, client: Client, ada: User, elsewhere: str) -> None:
        """Open redirect."""
        assert sign_in(client, next=elsewhere).headers["Location"] == "/"

    def test_a_pages_own_request_is_told_in_words(self, client: Client, ada: User) -> None:
        answer = client.get("/models/", headers={"HX-Request": "true"})
        assert answer.status_code == 401
        assert answer.headers["X-Refused"] == "You are signed out. Reload the page to sign in."


class TestGuessing:
    def test_a_name_from_one_address_waits_after_five_failures(
        self, client: Client, ada: User
    ) -> None:
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong")
        refused = sign_in(client)
        assert refused.status_code == 429
        assert 14 * 60 < int(refused.headers["Retry-After"]) <= 15 * 60
        assert "Too many sign-ins failed. Try again in 15 minutes." in refused.content.decode()
        assert not is_in(client)
        assert sign_in(client, address="10.0.0.10").status_code == 302

    def test_is_told_to_wait_until_the_first_failure_is_no_longer_counted(
        self, client: Client, ada: User
    ) -> None:
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong")
        first = FailedSignIn.objects.earliest("pk")
        FailedSignIn.objects.filter(pk=first.pk).update(at=first.at - timedelta(minutes=14))
        refused = sign_in(client)
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert "Try again in 1 minute." in refused.content.decode()

    def test_waits_for_the_longest_of_its_limits(self, client: Client, ada: User) -> None:
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong")
        FailedSignIn.objects.update(at=timezone.now() - timedelta(minutes=14))
        for _ in range(throttle.OF_ADDRESS + 5):
            FailedSignIn.objects.create(name="another", address="10.0.0.9")
        assert int(sign_in(client).headers["Retry-After"]) > 14 * 60

    def test_an_address_waits_whatever_names_it_tries(self, client: Client, ada: User) -> None:
        for number in range(throttle.OF_ADDRESS):
            sign_in(client, f"name{number}")
        assert "Too many sign-ins failed" in sign_in(client).content.decode()

    def test_the_addresses_of_one_ipv6_customer_are_one(self, client: Client, ada: User) -> None:
        for number in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong", address=f"2001:db8::{number}")
        assert "Too many" in sign_in(client, address="2001:db8::77").content.decode()

    def test_two_ipv4_addresses_in_ipv6_are_two(self, client: Client, ada: User) -> None:
        """As a socket for both kinds writes them."""
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong", address="::ffff:10.0.0.1")
        assert "Too many" in sign_in(client, address="::ffff:10.0.0.1").content.decode()
        assert sign_in(client, address="::ffff:10.0.0.2").status_code == 302

    def test_a_forwarded_address_counts_for_nothing(self, client: Client, ada: User) -> None:
        for number in range(throttle.OF_NAME_AND_ADDRESS):
            client.post(
                "/sign-in/",
                {"name": "ada", "password": "wrong"},
                headers={"X-Forwarded-For": f"10.1.1.{number}"},
            )
        assert "Too many" in sign_in(client, address="127.0.0.1").content.decode()

    def test_everywhere_does_not_lock_out_the_machine_itself(
        self, client: Client, ada: User
    ) -> None:
        for number in range(throttle.OF_NAME):
            sign_in(client, password="wrong", address=f"10.0.{number}.1")
        assert "Too many" in sign_in(client, address="10.9.9.9").content.decode()
        assert sign_in(client, address="127.0.0.1").status_code == 302

    def test_is_forgotten_after_a_success_and_after_a_while(
        self, client: Client, ada: User
    ) -> None:
        for _ in range(throttle.OF_NAME_AND_ADDRESS - 1):
            sign_in(client, password="wrong")
        assert sign_in(client).status_code == 302
        assert not FailedSignIn.objects.exists()
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            sign_in(client, password="wrong")
        FailedSignIn.objects.update(at=timezone.now() - throttle.WINDOW)
        assert sign_in(client).status_code == 302

    def test_is_not_prolonged_by_trying_on(self, client: Client, ada: User) -> None:
        for _ in range(throttle.OF_NAME_AND_ADDRESS * 2):
            sign_in(client, password="wrong")
        assert FailedSignIn.objects.count() == throttle.OF_NAME_AND_ADDRESS
