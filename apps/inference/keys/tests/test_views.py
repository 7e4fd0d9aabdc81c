"""The Keys page and the keys in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.accounts.roles import Role
from apps.accounts.services import set_active
from apps.inference.keys.errors import KeyInvalid
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import Limits, create_key, recognise
from apps.models.models import LocalModel
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

HOME = reverse("keys:home")
CREATE = reverse("keys:create")
FORM = {"name": "ada", "may_infer": "on"}


def text_of(response: Any) -> str:
    return response.content.decode()


def key_on(page: str) -> str:
    match = re.search(r"mlxhub_\w{8}_\w{43}", page)
    assert match is not None
    return match[0]


class TestMakingAKey:
    def test_shows_it_once(self, client: Client) -> None:
        response = client.post(CREATE, FORM)
        assert recognise(key_on(text_of(response))) == ApiKey.objects.get()
        assert "no-store" in response["Cache-Control"]
        assert not re.search(r"mlxhub_\w{8}_\w{43}", text_of(client.get(HOME)))

    def test_gives_it_what_the_form_says(self, client: Client, tiny: LocalModel) -> None:
        client.post(
            CREATE,
            FORM
            | {
                "may_manage": "on",
                "models": [tiny.pk],
                "requests_per_minute": 10,
                "tokens_per_minute": 1000,
                "concurrency": 2,
                "expires_days": 3,
                "note": "Her laptop",
            },
        )
        key = ApiKey.objects.get()
        assert key.scopes == ["inference", "management"]
        assert key.models_in_words == "tiny"
        assert key.limits_in_words == ["10 requests/min", "1,000 tokens/min", "2 at once"]
        assert key.expires_at is not None
        assert key.note == "Her laptop"

    def test_gives_it_limits_per_endpoint(self, client: Client) -> None:
        client.post(
            CREATE,
            FORM
            | {
                "embeddings_requests_per_minute": 60,
                "generation_tokens_per_minute": 2000,
                "management_requests_per_minute": 5,
                "management_tokens_per_minute": 7,
            },
        )
        assert ApiKey.objects.get().limits_in_words == [
            "generation: 2,000 tokens/min",
            "embeddings: 60 requests/min",
            "management: 5 requests/min",
        ]
        assert "embeddings: 60 requests/min" in text_of(client.get(HOME))

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({}, "This field is required."),
            ({"name": "ada"}, "A key is for inference, for management, or for both."),
            (FORM | {"concurrency": 0}, "greater than or equal to 1"),
            (FORM | {"rerank_requests_per_minute": 0}, "greater than or equal to 1"),
            (FORM | {"name": "taken"}, "already exists"),
        ],
    )
    def test_with_a_mistake_brings_the_form_back(
        self, client: Client, form: dict[str, Any], said: str
    ) -> None:
        create_key(name="taken")
        assert said in text_of(client.post(CREATE, form))
        assert ApiKey.objects.count() == 1

    def test_takes_a_post(self, client: Client) -> None:
        assert client.get(CREATE).status_code == 405


class TestTheList:
    def test_says_what_keys_are_for_where_there_is_none(self, client: Client) -> None:
        assert "There is no key yet." in text_of(client.get(HOME))

    def test_shows_what_each_key_may_do(self, client: Client) -> None:
        key, text = create_key(name="ada", limits=Limits(concurrency=2))
        page = text_of(client.get(HOME))
        assert key.shown in page
        assert "2 at once" in page
        assert text not in page

    def test_names_are_escaped(self, client: Client) -> None:
        create_key(name="<script>")
        assert "&lt;script&gt;" in text_of(client.get(HOME))


class TestRevoking:
    def test_ends_a_key_and_keeps_its_row(self, client: Client) -> None:
        key, _ = create_key(name="ada")
        page = text_of(client.post(reverse("keys:revoke", args=[key.pk]), follow=True))
        assert "ada is revoked." in page
        assert "Revoked" in page
        assert ApiKey.objects.get().state == "revoked"

    def test_a_key_that_is_not_there_is_a_404(self, client: Client) -> None:
        assert client.post(reverse("keys:revoke", args=[7])).status_code == 404

    def test_takes_a_post(self, client: Client) -> None:
        key, _ = create_key(name="ada")
        assert client.get(reverse("keys:revoke", args=[key.pk])).status_code == 405


class TestWhereOthersCanReachTheHub:
    def test_a_visitor_has_to_sign_in(self, client_of: ClientOf) -> None:
        response = client_of(None).get(HOME)
        assert response.status_code == 302
        assert response["Location"].startswith("/sign-in/?next=/keys/")

    def test_a_visitor_makes_no_key(self, client_of: ClientOf) -> None:
        assert client_of(None).post(CREATE, FORM).status_code == 302
        assert not ApiKey.objects.exists()

    def test_a_viewer_makes_no_key(self, client_of: ClientOf) -> None:
        assert client_of(Role.VIEWER).post(CREATE, FORM).status_code == 403
        assert not ApiKey.objects.exists()

    def test_a_key_belongs_to_who_made_it(
        self, client_of: ClientOf, people: dict[Role, User]
    ) -> None:
        client_of(Role.MEMBER).post(CREATE, FORM)
        assert ApiKey.objects.get().user == people[Role.MEMBER]

    def test_a_member_sees_and_revokes_no_key_of_others(self, client_of: ClientOf) -> None:
        key, _ = create_key(name="of the hub")
        member = client_of(Role.MEMBER)
        assert "of the hub" not in text_of(member.get(HOME))
        assert member.post(reverse("keys:revoke", args=[key.pk])).status_code == 404
        assert ApiKey.objects.get().state == "active"

    def test_an_owner_sees_and_revokes_every_key(
        self, client_of: ClientOf, people: dict[Role, User]
    ) -> None:
        key, _ = create_key(name="of a member", user_id=people[Role.MEMBER].pk)
        owner = client_of(Role.OWNER)
        assert "Every API call needs a key." in text_of(owner.get(HOME))
        owner.post(reverse("keys:revoke", args=[key.pk]))
        assert ApiKey.objects.get().state == "revoked"

    def test_a_key_ends_with_its_account(self, people: dict[Role, User]) -> None:
        _, text = create_key(name="ada", user_id=people[Role.MEMBER].pk)
        set_active(people[Role.MEMBER], active=False)
        with pytest.raises(KeyInvalid, match="switched off"):
            recognise(text)


class TestTheAdmin:
    ADD = reverse("admin:keys_apikey_add")
    LIST = reverse("admin:keys_apikey_changelist")

    def test_a_key_made_there_is_shown_once(self, admin_client: Client) -> None:
        made = text_of(admin_client.post(self.ADD, FORM, follow=True))
        assert recognise(key_on(made)) == ApiKey.objects.get()
        assert not re.search(r"mlxhub_\w{8}_\w{43}", text_of(admin_client.get(self.LIST)))

    def test_models_that_are_listed_are_the_only_ones(
        self, admin_client: Client, tiny: LocalModel
    ) -> None:
        admin_client.post(self.ADD, FORM | {"allowed_models": [tiny.pk]})
        assert ApiKey.objects.get().models_in_words == "tiny"

    def test_keys_are_revoked_from_the_list(self, admin_client: Client) -> None:
        key, _ = create_key(name="ada")
        action = {"action": "revoke", "_selected_action": [key.pk]}
        assert "Revoked: 1 key." in text_of(admin_client.post(self.LIST, action, follow=True))
        assert ApiKey.objects.get().state == "revoked"

    def test_a_change_keeps_the_key(self, admin_client: Client) -> None:
        key, text = create_key(name="ada")
        address = reverse("admin:keys_apikey_change", args=[key.pk])
        admin_client.post(address, FORM | {"note": "New"})
        assert recognise(text).note == "New"
