"""Datasets on the Discover pages and over REST: found, looked at, ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.models import Dataset
from apps.discovery.data.reference import DataReference, data_reference, dataset_in
from apps.discovery.downloads.models import Download
from apps.discovery.errors import InvalidRepoId
from apps.discovery.tests.data_catalogue import CHATS, PICTURES, SCRIPTED, WORDS, stock_data
from apps.discovery.tests.hub_search import Catalogue

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]

HOME = reverse("discover:datasets")


@pytest.fixture
def data(catalogue: Catalogue, models_dir: Path) -> Catalogue:
    return stock_data(catalogue)


def found(client: Client, **asked: Any) -> list[str]:
    response = client.get(HOME, asked)
    assert response.status_code == 200
    return [each.repo_id for each in response.context["found"].datasets]


def page_of(repo_id: str) -> str:
    return reverse("discover:dataset", args=repo_id.split("/"))


def post(client: Client, url: str, body: dict[str, Any]) -> Any:
    return client.post(url, body, content_type="application/json")


class TestSearching:
    def test_shows_datasets_and_no_models(self, client: Client, data: Catalogue) -> None:
        assert found(client)[:2] == [CHATS, WORDS]
        assert len(found(client)) == 4

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"q": "words"}, [WORDS]),
            ({"language": "en"}, [WORDS]),
            ({"size": "n<1K"}, [WORDS]),
            ({"license": "apache-2.0"}, [CHATS]),
            ({"gate": "gated"}, [PICTURES]),
            ({"sort": "downloads", "gate": "open", "license": "mit"}, [WORDS]),
        ],
    )
    def test_filters(
        self, client: Client, data: Catalogue, asked: dict[str, str], expected: list[str]
    ) -> None:
        assert found(client, **asked) == expected

    @pytest.mark.parametrize(
        "named", [WORDS, f"https://huggingface.co/datasets/{WORDS}/tree/main", f"hf:{WORDS}"]
    )
    def test_a_name_leads_to_the_page(self, client: Client, data: Catalogue, named: str) -> None:
        assert client.get(HOME, {"q": named})["Location"] == page_of(WORDS)

    def test_a_silent_hub_is_told(self, client: Client, data: Catalogue) -> None:
        data.status = 500
        assert b"The list of datasets can" in client.get(HOME).content


class TestOnePage:
    def test_tells_splits_with_their_sizes_and_where_they_go(
        self, client: Client, data: Catalogue
    ) -> None:
        page = client.get(page_of(WORDS)).content.decode()
        assert 'value="validation" checked' in page
        assert "1 file, as valid" in page
        assert "Words and what they <strong>mean</strong>." in page
        assert "<script>alert" not in page

    def test_a_configuration_is_chosen_in_the_address(
        self, client: Client, data: Catalogue
    ) -> None:
        response = client.get(page_of(CHATS), {"config": "large"})
        assert [part.split for part in response.context["parts"]] == ["train"]
        assert b"5 file" not in response.content

    def test_says_what_is_converted_and_what_is_not_read(
        self, client: Client, data: Catalogue
    ) -> None:
        assert b"conversion of it to Parquet" in client.get(page_of(SCRIPTED)).content
        assert b"no rows that are read here" in client.get(page_of(PICTURES)).content

    def test_what_is_not_there_is_a_404(self, client: Client, data: Catalogue) -> None:
        assert client.get(page_of("acme/nothing")).status_code == 404
        assert client.get(page_of(WORDS), {"revision": "a..b"}).status_code == 404

    def test_splits_are_ordered_under_a_name(self, client: Client, data: Catalogue) -> None:
        url = reverse("discover:import_dataset", args=WORDS.split("/"))
        response = client.post(url, {"config": "default", "split": ["train"], "name": "Mine"})
        assert response["Location"] == reverse("downloads:home")
        download = Download.objects.get()
        assert (download.repo_id, download.slug) == (WORDS, "mine")
        listed = client.get(reverse("downloads:home")).content.decode()
        assert f'href="{page_of(WORDS)}"' in listed

    @pytest.mark.parametrize(
        ("order", "why"),
        [
            ({"config": "default"}, "Choose at least one split."),
            ({"config": "default", "split": ["nope"]}, "has no split"),
            ({"config": "nope", "split": ["train"]}, "no configuration"),
        ],
    )
    def test_a_refused_order_comes_back_with_the_reason(
        self, client: Client, data: Catalogue, order: dict[str, Any], why: str
    ) -> None:
        response = client.post(reverse("discover:import_dataset", args=WORDS.split("/")), order)
        assert response.status_code == 422
        assert why in response.content.decode()
        assert not Download.objects.exists()

    def test_a_refused_order_leaves_what_was_chosen(self, client: Client, data: Catalogue) -> None:
        url = reverse("discover:import_dataset", args=WORDS.split("/"))
        order = {"config": "default", "split": ["train"], "rows": "0", "name": "Mine"}
        response = client.post(url, order)
        assert response.status_code == 422
        page = response.content.decode()
        assert page.count("greater than or equal to 1") == 1, "beside its field, and there alone"
        assert 'value="train" checked' in page
        assert 'value="validation">' in page
        form = response.context["form"]
        assert (form["rows"].value(), form["name"].value()) == ("0", "Mine")

    def test_a_revision_that_no_list_has_is_the_one_on_show(
        self, client: Client, data: Catalogue
    ) -> None:
        commit = data.server.repos[f"datasets/{WORDS}"].commit
        page = client.get(page_of(WORDS), {"revision": commit}).content.decode()
        assert f'<option value="{commit}" selected>' in page
        assert f"hf:{WORDS}:default --revision {commit}" in page

    def test_a_page_is_asked_for_anew(self, client: Client, data: Catalogue) -> None:
        data.server.broken_info = (503, b"busy")
        page = client.get(page_of(WORDS)).content.decode()
        refresh = reverse("discover:refresh_dataset", args=WORDS.split("/"))
        assert f'action="{refresh}?"' in page
        data.server.broken_info = None
        response = client.post(f"{refresh}?config=default", follow=True)
        assert response.request["QUERY_STRING"] == "config=default"
        assert response.context["facts"].repository.dataset.repo_id == WORDS


class TestRest:
    def test_datasets_are_found_and_looked_at(self, client: Client, data: Catalogue) -> None:
        listed = client.get("/api/discovery/datasets", {"q": "words"}).json()
        assert [each["repo_id"] for each in listed["datasets"]] == [WORDS]
        one = client.get(f"/api/discovery/datasets/{WORDS}").json()
        assert [(part["split"], part["split_here"]) for part in one["parts"]] == [
            ("train", "train"),
            ("validation", "valid"),
        ]

    def test_an_order_makes_a_download(self, client: Client, data: Catalogue) -> None:
        order = {"repo_id": CHATS, "config": "small", "splits": ["train_sft"], "name": "Chats"}
        answer = post(client, "/api/downloads/datasets", order)
        assert answer.status_code == 201
        made = answer.json()["download"]
        assert (made["repo_type"], made["name"], made["dataset"]) == ("dataset", "chats", None)
        assert post(client, "/api/downloads/datasets", order).status_code == 200

    @pytest.mark.parametrize(
        ("order", "status", "code"),
        [
            ({"repo_id": "acme/nothing"}, 404, "repository_not_found"),
            ({"repo_id": CHATS}, 404, "part_not_found"),
            ({"repo_id": PICTURES}, 400, "no_usable_rows"),
            ({"repo_id": WORDS, "revision": "a..b"}, 404, "repository_not_found"),
        ],
    )
    def test_refusals_have_a_status_and_a_code(
        self, client: Client, data: Catalogue, order: dict[str, Any], status: int, code: str
    ) -> None:
        answer = post(client, "/api/downloads/datasets", order)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert not Dataset.objects.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:a/b", DataReference("a/b")),
        ("hf:a/b:c", DataReference("a/b", "c")),
        ("hf:a/b/train,test", DataReference("a/b", "", ("train", "test"))),
        ("hf:a/b:c/train", DataReference("a/b", "c", ("train",))),
    ],
)
def test_a_part_is_named_in_one_word(text: str, expected: DataReference) -> None:
    assert data_reference(text) == expected


@pytest.mark.parametrize("text", ["hf:", "hf:a", "hf:a/b/c/d", "hf:../x", "hf:a/b c"])
def test_what_names_no_dataset_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepoId, match="names no dataset"):
        data_reference(text)


@pytest.mark.parametrize("words", ["", "two words", "word", "https://[", "a/b/c", "../x"])
def test_words_name_no_dataset(words: str) -> None:
    assert dataset_in(words, "https://huggingface.co") == ""
