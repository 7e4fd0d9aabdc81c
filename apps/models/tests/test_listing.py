"""The list of models: what an address asks for, and what it costs."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.models.listing import PER_PAGE, Wish, wanted
from apps.models.models import Adapter, LocalModel
from tests.registry import make_model

pytestmark = pytest.mark.django_db

LIST = reverse("models:list")


def many(count: int) -> None:
    for number in range(count):
        make_model(f"model-{number:03d}", name=f"Model {number:03d}")


def test_a_page_at_a_time_with_links_that_keep_what_was_asked(client: Client) -> None:
    many(PER_PAGE + 3)

    first = client.get(LIST, {"q": "model", "sort": "-size_bytes"})
    second = client.get(LIST, {"q": "model", "sort": "-size_bytes", "page": 2})

    assert len(first.context["models"]) == PER_PAGE
    assert len(second.context["models"]) == 3
    assert "53 models" in first.content.decode()
    assert 'href="?q=model&amp;sort=-size_bytes&amp;page=2"' in first.content.decode()


@pytest.mark.parametrize("page", ["0", "-1", "999", "two"])
def test_a_page_that_is_none_is_the_nearest_there_is(client: Client, page: str) -> None:
    make_model("tiny")

    assert client.get(LIST, {"page": page}).status_code == 200


def test_one_kind_alone(client: Client) -> None:
    make_model("chatty")
    make_model("vectors", kind=LocalModel.Kind.EMBEDDING)

    response = client.get(LIST, {"kind": "embedding"})

    assert [model.slug for model in response.context["models"]] == ["vectors"]
    assert 'href="/models/?kind=embedding" aria-current="true"' in response.content.decode()


def test_the_list_takes_two_queries_however_long_it_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    many(30)
    for model in LocalModel.objects.all():
        Adapter.objects.create(base=model, slug="a", name="A", path="/a", digest="d")

    with django_assert_num_queries(2):
        client.get(LIST, {"sort": "-parameters", "q": "mod"})


def test_a_model_beside_the_list_takes_as_many_queries_in_a_large_registry(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    many(3)
    with django_assert_num_queries(12, exact=False) as few:
        client.get(reverse("models:detail", args=["model-001"]))
    for number in range(40):
        make_model(f"further-{number}", parameters=500)

    with django_assert_num_queries(len(few.captured_queries)):
        client.get(reverse("models:detail", args=["model-001"]))


def test_long_fields_are_left_in_the_database() -> None:
    make_model("tiny", files={"model.safetensors": {}}, system_prompt="Long.")

    model = wanted(Wish()).get()

    assert {"files", "system_prompt"} <= model.get_deferred_fields()


def test_what_an_address_asks_that_is_not_known_means_nothing() -> None:
    assert Wish.of({"q": " x ", "kind": "cake", "sort": "path"}) == Wish(search="x")
    assert Wish().query() == ""
    assert Wish(search="a b", kind="chat").query(sort="-name") == "?q=a+b&kind=chat&sort=-name"
