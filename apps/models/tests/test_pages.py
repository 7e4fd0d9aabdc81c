"""The Models pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.models.models import Adapter
from tests.registry import make_model

pytestmark = pytest.mark.django_db

LIST = reverse("models:list")


def names(response: Any) -> list[str]:
    return [model.slug for model in response.context["models"]]


class TestList:
    def test_shows_each_model_with_its_numbers(self, client: Client) -> None:
        make_model("tiny", parameters=134_515_008, context_length=8192)
        page = client.get(LIST).content.decode()
        assert "Tiny" in page
        assert "135M" in page
        assert "8,192" in page
        assert "4-bit" in page

    def test_asks_the_engine_for_the_states_of_the_models_shown(self, client: Client) -> None:
        make_model("tiny")
        make_model("qwen")
        page = client.get(LIST).content.decode()
        assert f'hx-get="{reverse("inference:states")}?model=qwen&amp;model=tiny"' in page

    def test_sorts_by_name_without_regard_to_case(self, client: Client) -> None:
        make_model("b", name="beta")
        make_model("a", name="Alpha")
        make_model("c", name="Gamma")
        assert names(client.get(LIST)) == ["a", "b", "c"]

    def test_sorts_by_the_column_in_the_address(self, client: Client) -> None:
        make_model("small", size_bytes=1)
        make_model("large", size_bytes=2)
        response = client.get(LIST, {"sort": "-size_bytes"})
        assert names(response) == ["large", "small"]
        assert 'aria-sort="descending"' in response.content.decode()

    @pytest.mark.parametrize("sort", ["path", "--name", "adapters__name", ""])
    def test_sorts_by_name_where_the_address_asks_for_no_known_column(
        self, client: Client, sort: str
    ) -> None:
        make_model("b")
        make_model("a")
        assert names(client.get(LIST, {"sort": sort})) == ["a", "b"]

    def test_finds_models_by_name_and_repository(self, client: Client) -> None:
        make_model("tiny")
        make_model("qwen", repo_id="acme/Something")
        assert names(client.get(LIST, {"q": "TIN"})) == ["tiny"]
        assert names(client.get(LIST, {"q": "acme"})) == ["qwen"]

    def test_offers_all_models_where_a_search_finds_none(self, client: Client) -> None:
        make_model("tiny")
        page = client.get(LIST, {"q": "<b>"}).content.decode()
        assert "No model matches “&lt;b&gt;”." in page
        assert "Show all models" in page

    def test_says_how_to_get_a_model_where_there_is_none(self, client: Client) -> None:
        page = client.get(LIST).content.decode()
        assert "There is no model on this machine yet." in page
        assert "mlx-hub pull" in page

    def test_escapes_names_that_hold_markup(self, client: Client) -> None:
        make_model("tiny", name="<script>alert(1)</script>")
        page = client.get(LIST).content.decode()
        assert "<script>alert" not in page

    def test_can_load_a_model_without_javascript(self, client: Client) -> None:
        make_model("tiny")
        page = client.get(LIST).content.decode()
        assert f'method="post" action="{reverse("inference:load", args=["tiny"])}"' in page

    def test_only_reads(self, client: Client) -> None:
        assert client.post(LIST).status_code == 405


class TestDetail:
    def test_shows_the_list_and_the_model_beside_it(self, client: Client) -> None:
        model = make_model("tiny", license="Apache-2.0")
        Adapter.objects.create(base=model, slug="tone", name="Tone", path="/a", digest="d", rank=8)
        make_model("qwen")
        response = client.get(reverse("models:detail", args=["tiny"]))
        page = response.content.decode()
        assert names(response) == ["qwen", "tiny"]
        assert "digest-tiny" in page
        assert "Apache-2.0" in page
        assert "tiny:tone" in page
        assert "rank 8" in page

    def test_gives_a_curl_example_for_this_model_and_address(self, client: Client) -> None:
        make_model("tiny")
        page = client.get(reverse("models:detail", args=["tiny"])).content.decode()
        assert "curl http://testserver/v1/chat/completions" in page
        assert "&quot;model&quot;: &quot;tiny&quot;" in page or '"model": "tiny"' in page

    def test_leads_to_training_the_model_and_on_from_its_adapters(self, client: Client) -> None:
        model = make_model("tiny")
        Adapter.objects.create(base=model, slug="tone", name="Tone", path="/a", digest="d")
        page = client.get(reverse("models:detail", args=["tiny"])).content.decode()
        new = reverse("training:new")
        assert f'href="{new}?model=tiny"' in page
        assert f'href="{new}?model=tiny&amp;start=tiny%3Atone"' in page

    def test_answers_htmx_with_the_pane_alone(self, client: Client) -> None:
        make_model("tiny")
        response = client.get(
            reverse("models:detail", args=["tiny"]), headers={"HX-Request": "true"}
        )
        page = response.content.decode()
        assert "<title>Tiny · Models · MLX Model Hub</title>" in page
        assert 'id="pane"' in page
        assert "<body" not in page
        assert "HX-Request" in response.headers["Vary"]

    def test_asks_for_its_state_even_where_a_search_leaves_its_row_out(
        self, client: Client
    ) -> None:
        make_model("tiny")
        make_model("qwen")
        response = client.get(reverse("models:detail", args=["tiny"]), {"q": "qwen"})
        assert response.context["states_query"] == "model=qwen&model=tiny"

    def test_is_not_found_for_a_model_that_is_not_registered(self, client: Client) -> None:
        assert client.get(reverse("models:detail", args=["gone"])).status_code == 404
