"""The first owner of a hub that others can reach."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from apps.accounts import throttle
from apps.accounts.models import SetupCode
from apps.accounts.services import has_owner
from apps.accounts.setup import WrongCode, become_owner, code_file, new_code, withdraw_code
from apps.audit.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_hub", "logs")]

FORM = {"name": "ada", "password": "a long enough one"}


@pytest.fixture
def logs(tmp_path: Path, settings: Any, open_hub: None) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    (tmp_path / "logs").mkdir()


class TestBeforeThereIsAnOwner:
    def test_every_page_leads_to_the_setup(self, client: Client) -> None:
        for path in ("/", "/models/", "/users/", "/sign-in/", "/admin/"):
            answer = client.get(path)
            assert answer.status_code == 302, path
            assert answer.headers["Location"] == "/setup/", path

    def test_the_api_gives_nothing(self, client: Client) -> None:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/api/models").status_code == 401

    def test_the_code_makes_one_and_signs_in(self, client: Client) -> None:
        answer = client.post("/setup/", FORM | {"code": new_code()})
        assert answer.headers["Location"] == "/"
        user = User.objects.get()
        assert (user.username, user.is_superuser, user.account.role) == ("ada", True, 3)
        assert client.get("/users/").status_code == 200
        entry = AuditEntry.objects.get(action="setup.finish")
        assert (entry.actor_name, entry.address) == ("ada", "127.0.0.1")

    def test_the_code_is_taken_however_it_is_typed(self, client: Client) -> None:
        code = new_code().lower().replace("-", " ")
        assert client.post("/setup/", FORM | {"code": code}).status_code == 302

    def test_a_wrong_code_makes_none(self, client: Client) -> None:
        new_code()
        page = client.post("/setup/", FORM | {"code": "AAAA-AAAA-AAAA-AAAA"}).content.decode()
        assert "This is not the code" in page
        assert not has_owner()

    def test_codes_are_not_guessed(self, client: Client) -> None:
        code = new_code()
        for _ in range(throttle.OF_NAME_AND_ADDRESS):
            client.post("/setup/", FORM | {"code": "AAAA-AAAA-AAAA-AAAA"})
        refused = client.post("/setup/", FORM | {"code": code})
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert "Too many" in refused.content.decode()
        assert not has_owner()

    def test_a_weak_password_makes_none(self, client: Client) -> None:
        code = new_code()
        page = client.post("/setup/", FORM | {"code": code, "password": "password12"})
        assert "too common" in page.content.decode()
        assert client.post("/setup/", FORM | {"code": code}).status_code == 302


class TestTheCode:
    def test_is_kept_as_its_digest_and_in_a_file_for_the_owners_eyes(self) -> None:
        code = new_code()
        assert code not in str(SetupCode.objects.values().get())
        assert code_file().read_text() == f"{code}\n"
        assert stat.S_IMODE(code_file().stat().st_mode) == 0o600

    def test_replaces_the_one_before_it(self, client: Client) -> None:
        old, new = new_code(), new_code()
        assert client.post("/setup/", FORM | {"code": old}).status_code == 200
        assert client.post("/setup/", FORM | {"code": new}).status_code == 302

    def test_is_gone_once_it_was_used(self, client: Client) -> None:
        code = new_code()
        client.post("/setup/", FORM | {"code": code})
        assert not code_file().exists()
        assert Client().post("/setup/", FORM | {"code": code, "name": "eve"}).status_code == 302
        assert User.objects.count() == 1

    def test_is_gone_once_it_is_withdrawn(self) -> None:
        code = new_code()
        withdraw_code()
        with pytest.raises(WrongCode):
            become_owner(code=code, name="ada", password="a long enough one", address="")

    @pytest.mark.django_db(transaction=True)
    def test_makes_one_owner_of_two_who_have_it_at_the_same_moment(self) -> None:
        code, start = new_code(), threading.Barrier(2)
        outcomes: list[str] = []

        def become(name: str) -> None:
            start.wait()
            try:
                become_owner(code=code, name=name, password="a long enough one", address="")
                outcomes.append("owner")
            except WrongCode:
                outcomes.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=become, args=(name,)) for name in ("ada", "eve")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["owner", "refused"]
        assert User.objects.count() == 1
