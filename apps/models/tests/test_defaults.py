"""What a call that leaves it out gets: the form beside the model."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.models.models import LocalModel
from tests.registry import make_model

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def save(client: Client, **fields: Any) -> Any:
    return client.post(reverse("models:defaults", args=["tiny"]), fields, headers=HTMX)


def test_the_owners_defaults_come_before_the_authors() -> None:
    model = make_model(
        "tiny", recommended={"temperature": 0.6, "top_p": 0.95}, temperature=0.2, max_tokens=99
    )

    assert model.sampling == {"temperature": 0.2, "top_p": 0.95, "max_tokens": 99}


def test_zero_is_a_default_too() -> None:
    assert make_model("tiny", recommended={"temperature": 0.6}, temperature=0).sampling == {
        "temperature": 0
    }


def test_the_form_saves_them_and_nothing_else(client: Client, tiny: LocalModel) -> None:
    LocalModel.objects.update(pinned=True)

    response = save(client, temperature="0.3", top_k="40", system_prompt="Be brief.")

    tiny.refresh_from_db()
    assert (tiny.temperature, tiny.top_k, tiny.system_prompt) == (0.3, 40, "Be brief.")
    assert tiny.pinned
    assert "Saved the defaults of Tiny." in response.headers["HX-Trigger"]


def test_what_the_authors_recommend_stands_in_the_empty_field(client: Client) -> None:
    make_model("tiny", recommended={"temperature": 0.65})

    page = client.get(reverse("models:detail", args=["tiny"])).content.decode()

    assert 'placeholder="0.65"' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", "3"), ("top_p", "0"), ("context_limit", "4096"), ("max_tokens", "0")],
)
def test_what_can_not_be_stands_beside_its_field(
    client: Client, tiny: LocalModel, field: str, value: str
) -> None:
    page = save(client, **{field: value}).content.decode()

    assert f'id="id_{field}_error"' in page


def test_a_mistake_in_a_setting_that_is_not_in_the_form_does_not_stand_in_its_way(
    client: Client, tiny: LocalModel
) -> None:
    LocalModel.objects.update(context_limit=10**6, alias="other")
    make_model("other")

    assert save(client, temperature="0.5", context_limit="1000").status_code == 200
    tiny.refresh_from_db()
    assert tiny.temperature == 0.5
