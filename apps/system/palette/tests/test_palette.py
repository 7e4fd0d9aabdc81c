"""The palette finds what somebody may look at, by a part of its name."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.roles import Role
from apps.datasets.models import Dataset
from apps.models.models import LocalModel
from apps.playground.models import Conversation
from apps.system.palette.finding import MOST, entries
from tests.registry import make_model

HTMX = {"HX-Request": "true"}


def labels(words: str, role: Role | None = Role.OWNER) -> list[str]:
    return [entry.label for entry in entries(words, role)]


def test_without_words_it_leads_to_every_page(db: None) -> None:
    make_model("tiny")

    assert {"New chat", "Models", "Training", "System"} <= set(labels(""))
    assert "Tiny" not in labels("")


def test_a_model_is_found_with_a_chat_with_it(db: None) -> None:
    make_model("tiny")
    make_model("vectors", kind=LocalModel.Kind.EMBEDDING)

    assert labels("tin") == ["Chat with Tiny", "Tiny"]
    assert labels("vectors") == ["Vectors"], "it writes no text"
    (chat, _) = entries("tin", Role.OWNER)
    assert chat.url == reverse("playground:home") + "?model=tiny"


def test_conversations_and_datasets_are_found_the_newest_first(db: None, tiny: LocalModel) -> None:
    for number in range(MOST + 2):
        Conversation.objects.create(title=f"Glossary {number}", model=tiny)
    Dataset.objects.create(name="Glossary rows", slug="rows")
    found = labels("GLOSSARY")

    assert found[0] == f"Glossary {MOST + 1}"
    assert len(found) == MOST + 1
    assert found[-1] == "Glossary rows"


@pytest.mark.parametrize(("role", "seen"), [(Role.OWNER, True), (Role.VIEWER, False)])
def test_only_what_one_may_look_at_is_found(db: None, role: Role, *, seen: bool) -> None:
    assert ("Logs" in labels("logs", role)) is seen


def test_the_page_has_the_places_and_nothing_typed_is_markup(client: Client, db: None) -> None:
    page = client.get("/system/palette/?q=usag", headers=HTMX).content.decode()
    assert f'href="{reverse("usage:home")}"' in page
    assert 'data-words="usag"' in page

    page = client.get("/system/palette/?q=<b>", headers=HTMX).content.decode()
    assert "Nothing here is called “&lt;b&gt;”." in page


def test_every_page_has_the_box(client: Client, db: None) -> None:
    page = client.get(reverse("models:list")).content.decode()
    assert 'id="palette"' in page
    assert "Go anywhere by name" in page
