"""What models are for, and the names that clients call them by."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from apps.models import services
from apps.models.errors import NameTaken
from apps.models.models import LocalModel
from apps.models.runtime.tests.folders import write_folder
from tests.registry import make_model

pytestmark = pytest.mark.django_db

WEIGHTS = {"model.embed_tokens.weight": ("F32", [100, 64])}


def registered(folder: Path) -> LocalModel:
    return services.register_folder(
        path=folder, slug="new", name="New", source=LocalModel.Source.FOLDER
    )


def alias(client: Client, model: LocalModel, name: str) -> str:
    """What the page says of it."""
    url = reverse("models:serving", args=[model.slug])
    return client.post(url, {"alias": name}, headers={"HX-Request": "true"}).content.decode()


@pytest.mark.parametrize(
    ("config", "files", "kind", "knows_tools"),
    [
        ({}, {}, "completion", False),
        ({}, {"tokenizer_config": {"chat_template": "{{ messages }}"}}, "chat", False),
        ({}, {"tokenizer_config": {"chat_template": "{% if tools %}"}}, "chat", True),
        ({"model_type": "bert"}, {}, "embedding", False),
    ],
)
def test_a_model_is_of_the_kind_that_its_files_say(
    tmp_path: Path, config: dict, files: dict, kind: str, knows_tools: bool
) -> None:
    model = registered(write_folder(tmp_path / "m", WEIGHTS, config, **files))

    assert (model.kind, model.knows_tools) == (kind, knows_tools)
    assert model.embeds == (kind == "embedding")


def test_another_pooling_is_another_model(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", WEIGHTS, {"model_type": "bert"})
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    before = registered(folder).digest

    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')

    assert registered(folder).digest != before


def test_an_alias_is_given_on_the_models_page(client: Client) -> None:
    model = make_model("tiny")

    alias(client, model, "openai/gpt-4o-mini")

    assert LocalModel.objects.named("openai/gpt-4o-mini").get() == model
    page = client.get(reverse("models:detail", args=["tiny"])).content.decode()
    assert ", openai/gpt-4o-mini" in page


def test_an_alias_can_be_taken_back(client: Client) -> None:
    one, other = make_model("one", alias="gpt"), make_model("other")

    alias(client, one, "")
    alias(client, other, "")

    assert list(LocalModel.objects.values_list("alias", flat=True)) == [None, None]


@pytest.mark.parametrize("name", ["other", "acme/Other", "taken"])
def test_an_alias_is_nobody_elses_name(client: Client, name: str) -> None:
    model = make_model("tiny")
    make_model("other", repo_id="acme/Other", alias="taken")

    assert "lready" in alias(client, model, name)

    model.refresh_from_db()
    assert model.alias is None


@pytest.mark.parametrize("name", ["a:b", "/a", "a b", "ä"])
def test_an_alias_is_a_name_that_calls_can_carry(name: str) -> None:
    with pytest.raises(ValidationError, match="start with a letter or digit"):
        make_model("tiny", alias=name).full_clean()


def test_a_new_models_name_is_nobodys_alias(tmp_path: Path) -> None:
    make_model("tiny", alias="new")

    with pytest.raises(NameTaken, match="A model named 'new' exists already"):
        registered(write_folder(tmp_path / "m", WEIGHTS))


def test_a_model_that_makes_vectors_drafts_for_nobody() -> None:
    large = make_model("large", parameters=9_000_000)
    make_model("vectors", kind=LocalModel.Kind.EMBEDDING)

    assert not LocalModel.objects.drafts_for(large).exists()


def test_the_page_of_an_embedding_model_shows_how_to_embed(client: Client) -> None:
    make_model("vectors", kind=LocalModel.Kind.EMBEDDING)

    page = client.get(reverse("models:detail", args=["vectors"])).content.decode()

    assert "/v1/embeddings" in page
    assert "/v1/chat/completions" not in page
