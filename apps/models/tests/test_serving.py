"""How a model is to be served: the form beside it, the admin, and who hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from apps.models.models import LocalModel
from apps.models.signals import serving_changed
from tests.registry import make_model

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def large() -> LocalModel:
    return make_model("large", parameters=7_000_000)


@pytest.fixture
def small() -> LocalModel:
    return make_model("small", parameters=1_000_000)


@pytest.fixture
def heard() -> Iterator[list[LocalModel]]:
    """The models of which it was said that their serving has changed."""
    models: list[LocalModel] = []

    def hear(model: LocalModel, **kwargs: Any) -> None:
        models.append(model)

    serving_changed.connect(hear)
    yield models
    serving_changed.disconnect(hear)


def save(client: Client, model: LocalModel, **fields: Any) -> Any:
    url = reverse("models:serving", args=[model.slug])
    return client.post(url, fields, headers=HTMX)


def vocabulary(folder: Path, *tokens: str) -> str:
    folder.mkdir()
    content = {"model": {"vocab": {token: i for i, token in enumerate(tokens)}}}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return str(folder)


class TestForm:
    def test_saves_how_the_model_is_served_and_tells_of_it(
        self, client: Client, large: LocalModel, small: LocalModel, heard: list[LocalModel]
    ) -> None:
        response = save(client, large, pinned="on", ttl_minutes="30", draft=small.pk)
        large.refresh_from_db()
        assert (large.pinned, large.ttl_minutes, large.draft) == (True, 30, small)
        assert "Saved how Large is served." in response.headers["HX-Trigger"]
        assert heard == [large]

    def test_shows_the_new_alias_among_the_names_at_once(
        self, client: Client, large: LocalModel
    ) -> None:
        page = save(client, large, alias="house").content.decode()
        assert '<span id="api-alias" hx-swap-oob="true">, house</span>' in page
        refused = save(client, large, alias="no name").content.decode()
        assert "api-alias" not in refused

    def test_empties_what_is_left_empty(self, client: Client, small: LocalModel) -> None:
        large = make_model("large", parameters=7_000_000, pinned=True, ttl_minutes=5, draft=small)
        save(client, large, ttl_minutes="", draft="")
        large.refresh_from_db()
        assert (large.pinned, large.ttl_minutes, large.draft) == (False, None, None)

    def test_is_on_the_models_page_with_what_is_in_force(
        self, client: Client, small: LocalModel
    ) -> None:
        large = make_model("large", parameters=7_000_000, ttl_minutes=5, draft=small)
        page = client.get(reverse("models:detail", args=["large"])).content.decode()
        assert 'value="5"' in page
        assert f'<option value="{small.pk}" selected>' in page
        assert f'action="{reverse("models:serving", args=[large.slug])}"' in page

    def test_offers_smaller_models_alone_as_drafts(
        self, client: Client, large: LocalModel, small: LocalModel
    ) -> None:
        page = client.get(reverse("models:detail", args=["small"])).content.decode()
        assert "<option" in page
        assert f'<option value="{large.pk}"' not in page
        assert f'<option value="{small.pk}"' not in page

    @pytest.mark.parametrize("minutes", ["-1", "soon", "1e9", "525601"])
    def test_keeps_a_time_that_can_not_be_beside_its_field(
        self, client: Client, large: LocalModel, heard: list[LocalModel], minutes: str
    ) -> None:
        page = save(client, large, ttl_minutes=minutes).content.decode()
        assert 'id="id_ttl_minutes_error"' in page
        assert heard == []

    def test_refuses_a_draft_with_another_vocabulary(
        self, client: Client, large: LocalModel, small: LocalModel, tmp_path: Path
    ) -> None:
        large.path = vocabulary(tmp_path / "large", "a", "b")
        large.save()
        small.path = vocabulary(tmp_path / "small", "a", "c")
        small.save()
        page = save(client, large, draft=small.pk).content.decode()
        assert "Small has another vocabulary than Large." in page
        large.refresh_from_db()
        assert large.draft is None

    def test_takes_a_draft_with_the_same_vocabulary(
        self, client: Client, large: LocalModel, small: LocalModel, tmp_path: Path
    ) -> None:
        large.path = vocabulary(tmp_path / "large", "a", "b")
        large.save()
        small.path = vocabulary(tmp_path / "small", "a", "b")
        small.save()
        save(client, large, draft=small.pk)
        large.refresh_from_db()
        assert large.draft == small

    def test_works_without_javascript(self, client: Client, large: LocalModel) -> None:
        url = reverse("models:serving", args=["large"])
        response: Any = client.post(url, {"ttl_minutes": "7"})
        assert response.headers["Location"] == reverse("models:detail", args=["large"])
        messages = [str(message) for message in get_messages(response.wsgi_request)]
        assert messages == ["Saved how Large is served."]

    def test_shows_the_page_again_with_the_error_without_javascript(
        self, client: Client, large: LocalModel
    ) -> None:
        response = client.post(reverse("models:serving", args=["large"]), {"ttl_minutes": "-1"})
        assert response.status_code == 422
        page = response.content.decode()
        assert 'id="id_ttl_minutes_error"' in page
        assert "<table" in page

    def test_is_not_found_for_an_unknown_model(self, client: Client) -> None:
        assert client.post(reverse("models:serving", args=["gone"])).status_code == 404

    def test_needs_a_post(self, client: Client, large: LocalModel) -> None:
        assert client.get(reverse("models:serving", args=["large"])).status_code == 405


class TestAdmin:
    def test_saves_and_tells_of_it(
        self, admin_client: Client, large: LocalModel, heard: list[LocalModel]
    ) -> None:
        url = reverse("admin:models_localmodel_change", args=[large.pk])
        admin_client.post(
            url,
            {"name": "Large", "license": "", "repo_id": "", "pinned": "on", "ttl_minutes": "5"},
        )
        large.refresh_from_db()
        assert (large.pinned, large.ttl_minutes) == (True, 5)
        assert heard == [large]

    def test_refuses_a_model_as_its_own_draft(
        self, admin_client: Client, large: LocalModel
    ) -> None:
        url = reverse("admin:models_localmodel_change", args=[large.pk])
        response = admin_client.post(
            url, {"name": "Large", "license": "", "repo_id": "", "draft": large.pk}
        )
        assert "its own draft" in response.content.decode()


def test_the_database_takes_no_model_as_its_own_draft(large: LocalModel) -> None:
    large.draft = large
    with pytest.raises(IntegrityError):
        large.save()


def test_a_model_outlives_its_draft(large: LocalModel, small: LocalModel) -> None:
    large.draft = small
    large.save()
    small.delete()
    large.refresh_from_db()
    assert large.draft is None
