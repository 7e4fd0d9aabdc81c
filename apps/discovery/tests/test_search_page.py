"""The search page: what is asked of the hub, what is shown of its answer, and its silence."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.discovery.tests.catalogue import BASE, EIGHT_BITS, FOUR_BITS, GGUF, OTHER
from apps.discovery.tests.hub_search import Catalogue

pytestmark = pytest.mark.django_db

HOME = reverse("discover:home")


def names(client: Client, **asked: Any) -> list[str]:
    response = client.get(HOME, asked)
    assert response.status_code == 200
    return [model.repo_id for model in response.context["found"].models]


def page(client: Client, **asked: Any) -> str:
    return client.get(HOME, asked).content.decode()


class TestSearching:
    def test_a_row_says_whether_the_model_fits_this_machine(
        self, client: Client, catalogue: Catalogue, settings: Settings
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"memory_ceiling_gb": 64})
        assert re.search(
            r'class="discover__fit" title="Weights [^"]+ of 64.0 GB free"', page(client)
        )

    def test_shows_what_is_trending_in_mlxs_format(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        assert names(client) == [FOUR_BITS, EIGHT_BITS, OTHER]
        (query,) = catalogue.searches
        assert query["filter"] == ["mlx"]
        assert query["sort"] == ["trendingScore"]

    @pytest.mark.parametrize(
        ("sort", "first"),
        [("downloads", FOUR_BITS), ("likes", EIGHT_BITS), ("newest", OTHER)],
    )
    def test_sorts(self, client: Client, catalogue: Catalogue, sort: str, first: str) -> None:
        assert names(client, sort=sort)[0] == first

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"q": "whale"}, [OTHER]),
            ({"format": "any", "q": "tiny", "sort": "downloads"},
             [BASE, FOUR_BITS, EIGHT_BITS, GGUF]),
            ({"format": "gguf"}, [GGUF]),
            ({"format": "safetensors"}, [BASE]),
            ({"task": "text-generation"}, [FOUR_BITS, EIGHT_BITS, OTHER]),
            ({"task": "translation"}, []),
            ({"architecture": "Qwen2"}, [OTHER]),
            ({"license": "mit"}, [OTHER]),
            ({"gate": "open"}, [FOUR_BITS, EIGHT_BITS]),
            ({"gate": "gated"}, [OTHER]),
            ({"quantization": "8-bit"}, [EIGHT_BITS]),
            ({"quantization": "full", "format": "any"}, [BASE]),
            ({"min_params": "2"}, [OTHER]),
            ({"max_params": "1.5"}, [FOUR_BITS, EIGHT_BITS]),
            ({"min_params": "0.5", "max_params": "1.5", "quantization": "4-bit"}, [FOUR_BITS]),
            ({"max_gb": "0.6"}, [FOUR_BITS]),
            ({"base_model": BASE, "format": "any"}, [FOUR_BITS, EIGHT_BITS, GGUF]),
        ],
    )  # fmt: skip
    def test_filters(
        self, client: Client, catalogue: Catalogue, asked: dict[str, str], found: list[str]
    ) -> None:
        assert names(client, **asked) == found

    def test_tells_how_many_it_looked_at_where_it_sifts(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        assert "looked at 3, 1 fit" in page(client, quantization="8-bit")

    def test_says_so_where_nothing_fits(self, client: Client, catalogue: Catalogue) -> None:
        assert "No model matches." in page(client, q="nothing-like-it")

    @pytest.mark.parametrize(
        "asked",
        [
            {"sort": "odd"},
            {"min_params": "many"},
            {"min_params": "nan"},
            {"min_params": "3", "max_params": "2"},
            {"architecture": "a b"},
            {"license": "a&b"},
            {"base_model": "../x"},
            {"q": "x" * 301},
        ],
    )
    def test_a_filter_that_makes_no_sense_is_told_and_not_asked(
        self, client: Client, catalogue: Catalogue, asked: dict[str, str]
    ) -> None:
        assert "field__error" in page(client, **asked)
        assert catalogue.searches == []

    @pytest.mark.parametrize(
        "text",
        [
            FOUR_BITS,
            f"https://huggingface.co/{FOUR_BITS}",
            f"huggingface.co/{FOUR_BITS}/tree/main",
            f" https://hf.co/{FOUR_BITS}?library=mlx ",
        ],
    )
    def test_a_repositorys_name_or_address_leads_to_its_page(
        self, client: Client, catalogue: Catalogue, text: str
    ) -> None:
        response = client.get(HOME, {"q": text})
        assert response.headers["Location"].startswith(f"/discover/{FOUR_BITS}/")
        swapped = client.get(HOME, {"q": text}, headers={"HX-Request": "true"})
        assert swapped.headers["HX-Redirect"].startswith(f"/discover/{FOUR_BITS}/")


class TestPages:
    @pytest.fixture
    def many(self, catalogue: Catalogue) -> Catalogue:
        for number in range(70):
            catalogue.add(f"many/Model-{number:02}-3bit", tags=["mlx"], likes=number)
        return catalogue

    def test_more_models_come_with_the_cursor_and_without_javascript(
        self, client: Client, many: Catalogue
    ) -> None:
        first = page(client, q="many", sort="likes")
        link = re.search(r'href="(\?[^"]*cursor=[^"]*)"', first)
        assert link is not None
        assert 'hx-trigger="intersect once"' in first

        second = client.get(HOME + link[1].replace("&amp;", "&"))
        assert len(second.context["found"].models) == 30
        assert second.context["found"].models[0].repo_id == "many/Model-39-3bit"
        assert "From the beginning" in second.content.decode()

    def test_htmx_gets_the_next_rows_alone(self, client: Client, many: Catalogue) -> None:
        headers = {"HX-Request": "true", "HX-Target": "more"}
        response = client.get(HOME, {"q": "many", "cursor": "30"}, headers=headers)
        rows = response.content.decode()
        assert "<html" not in rows
        assert rows.count("data-row") == 30

    def test_htmx_gets_the_results_with_an_address_without_empty_parts(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        headers = {"HX-Request": "true", "HX-Target": "results"}
        asked = {"q": "tiny", "task": "", "gate": "", "sort": "likes"}
        response = client.get(HOME, asked, headers=headers)
        assert response.headers["HX-Push-Url"] == f"{HOME}?q=tiny&sort=likes"
        assert "<html" not in response.content.decode()

    def test_goes_on_until_enough_models_fit_but_not_for_ever(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        for number in range(600):
            catalogue.add(f"many/Model-{number:03}", tags=["mlx"], likes=number)
        shown = page(client, q="many", quantization="3-bit")
        assert len(catalogue.searches) == 5
        assert "Looked at 500 models, 0 fit." in shown
        assert "intersect" not in shown

    def test_the_next_pages_address_is_never_followed_to_another_host(
        self, client: Client, many: Catalogue
    ) -> None:
        many.next_host = "http://evil.example"
        shown = page(client, q="many", quantization="3-bit")
        assert "evil.example" not in shown
        assert len(many.searches) == 1  # one page of 100 holds them all
        names(client, q="many")
        names(client, q="many", cursor="30")
        assert {seen.host.partition(":")[0] for seen in many.server.requests} == {"127.0.0.1"}


class TestWhatIsKept:
    def test_a_fresh_answer_is_not_asked_for_again(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        names(client)
        assert names(client) == [FOUR_BITS, EIGHT_BITS, OTHER]
        assert len(catalogue.searches) == 1

    def test_refresh_asks_anew_and_leads_back(self, client: Client, catalogue: Catalogue) -> None:
        names(client, q="tiny")
        response = client.post(f"{reverse('discover:refresh')}?q=tiny")
        assert response.headers["Location"] == f"{HOME}?q=tiny"
        assert len(catalogue.searches) == 2

    def test_an_unreachable_hub_leaves_the_old_answer_with_its_age_and_the_reason(
        self, client: Client, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names(client)
        monkeypatch.setattr("apps.discovery.keeping.FRESH_SECONDS", -1.0)
        catalogue.status = 503
        shown = page(client)
        assert FOUR_BITS.partition("/")[2] in shown
        assert "answered with status 503" in shown
        assert "Retry" in shown

    def test_a_silent_hub_is_left_alone_for_a_moment_unless_somebody_asks(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        catalogue.status = 503
        assert "The list of models can" in page(client)
        page(client, q="tiny")
        assert len(catalogue.searches) == 1

        catalogue.status = 200
        client.post(f"{reverse('discover:refresh')}?q=tiny")
        assert names(client) == [FOUR_BITS, EIGHT_BITS, OTHER]

    def test_offline_mode_asks_nothing_and_says_so(
        self, client: Client, catalogue: Catalogue, settings: Settings
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"hf_offline": True})
        assert "Offline mode is on" in page(client)
        assert catalogue.server.requests == []

    def test_another_token_gets_an_answer_of_its_own(
        self, client: Client, catalogue: Catalogue, settings: Settings
    ) -> None:
        names(client)
        settings.HUB = settings.HUB.model_copy(update={"hf_token": _Secret("hf_other")})
        names(client)
        assert len(catalogue.searches) == 2

    def test_a_damaged_answer_is_asked_for_again(
        self, client: Client, catalogue: Catalogue, settings: Settings
    ) -> None:
        names(client)
        for file in settings.CACHES["hub"]["LOCATION"].iterdir():
            file.write_bytes(file.read_bytes()[:-20])
        assert names(client) == [FOUR_BITS, EIGHT_BITS, OTHER]


class TestHostileAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            b"<html>Sign in</html>",
            b"{}",
            b'"text"',
            b"[1, null, []]",
            b"[" * 100_000,
            b"\xff\xfe",
            b'[{"id": "../../etc"}]',
        ],
    )
    def test_what_no_hub_answers_is_told(
        self, client: Client, catalogue: Catalogue, body: bytes
    ) -> None:
        catalogue.broken = body
        assert "did not answer as Hugging Face does" in page(client)

    def test_wrong_types_are_like_nothing_at_all(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        wrong = {
            "downloads": "many", "likes": -1, "tags": {"mlx": 1}, "config": [], "gguf": 3,
            "safetensors": {"parameters": {"BF16": "x", "F16": 1e400}}, "cardData": "x",
            "createdAt": 5, "lastModified": "never", "pipeline_tag": ["x"], "library_name": None,
        }  # fmt: skip
        catalogue.add("odd/Odd", **wrong)
        (odd,) = client.get(HOME, {"q": "odd", "format": "any"}).context["found"].models
        assert (odd.downloads, odd.likes, odd.tags, odd.parameters) == (0, 0, (), None)

    def test_names_are_never_markup(self, client: Client, catalogue: Catalogue) -> None:
        catalogue.add("odd/Tag", tags=["mlx", "license:<script>alert(1)</script>"],
                      config={"model_type": "<img src=x>"})  # fmt: skip
        shown = page(client, q="odd")
        assert "<script>alert" not in shown
        assert "<img" not in shown


class _Secret:
    """The part of pydantic's SecretStr that is used."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value
