from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.models.lineage import Node, family_of
from apps.models.models import Adapter, LocalModel
from tests.registry import make_model

pytestmark = pytest.mark.django_db


def drawn(node: Node | None) -> object:
    """The tree as nested tuples of names."""
    return node and (node.name, *(drawn(child) for child in node.children))


@pytest.fixture
def base() -> LocalModel:
    return make_model("base", repo_id="acme/base")


def test_a_model_that_stands_alone_has_no_family(base: LocalModel) -> None:
    assert family_of(base) is None


def test_base_quantised_adapter_and_fused_are_one_tree_from_wherever_it_is_seen(
    base: LocalModel,
) -> None:
    small = make_model("small", derived_from=base, derivation="4-bit")
    poet = Adapter.objects.create(base=small, slug="poet", name="Poet", path="/a", digest="d")
    fused = make_model("fused", derived_from=small, derived_adapter=poet, derivation="fused")

    for model in (base, small, fused):
        tree = family_of(model)
        assert drawn(tree) == ("Base", ("Small", ("Poet", ("Fused",))))
    shown = family_of(small)
    assert shown is not None
    assert [shown.is_shown, shown.children[0].is_shown] == [False, True]


def test_a_download_whose_card_names_its_base_belongs_to_it(base: LocalModel) -> None:
    make_model("mlx-4bit", repo_id="mlx/base-4bit", base_repo_id="acme/base")

    assert drawn(family_of(base)) == ("Base", ("Mlx-4Bit",))


def test_a_base_that_is_not_here_is_named(base: LocalModel) -> None:
    lone = make_model("lone", base_repo_id="other/original")

    assert drawn(family_of(lone)) == ("other/original", ("Lone",))


def test_cards_that_name_each_other_end(base: LocalModel) -> None:
    LocalModel.objects.filter(pk=base.pk).update(base_repo_id="acme/twin")
    make_model("twin", repo_id="acme/twin", base_repo_id="acme/base")
    base.refresh_from_db()

    assert family_of(base) is not None


def test_names_are_no_markup(client: Client, base: LocalModel) -> None:
    make_model("evil", name="<script>alert(1)</script>", derived_from=base)

    page = client.get(reverse("models:detail", args=["base"])).content.decode()

    assert "<script>alert" not in page
    assert "Lineage" in page
