"""A model's page: all that is known before its weights are fetched, whatever the hub says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from apps.discovery.tests.catalogue import BASE, CONFIG, EIGHT_BITS, FOUR_BITS, GGUF
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import Failure
from apps.models.models import LocalModel

pytestmark = pytest.mark.django_db


def get(client: Client, repo_id: str, **asked: Any) -> HttpResponse:
    return client.get(reverse("discover:model", args=repo_id.split("/")), asked)


def page(client: Client, repo_id: str, **asked: Any) -> str:
    response = get(client, repo_id, **asked)
    assert response.status_code == 200
    return response.content.decode()


class TestWhatIsTold:
    def test_facts_files_and_what_a_download_would_fetch(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        response = get(client, BASE)
        shown, view = response.content.decode(), response.context["view"]
        assert "1B" in shown
        assert "8,192 tokens" in shown
        assert "apache-2.0" in shown
        fetched = {each.file.name for each in view.files if each.is_needed}
        kept = {"README.md", "LICENSE", "config.json", "model.safetensors", "tokenizer.json"}
        assert fetched == kept
        files = catalogue.server.repos[BASE].files
        assert view.download_bytes == sum(len(files[name]) for name in fetched)

    def test_no_weights_are_fetched_for_it(self, client: Client, catalogue: Catalogue) -> None:
        page(client, BASE)
        assert set(catalogue.server.fetched()) == {"README.md", "config.json"}

    def test_quantised_forms_of_the_same_model(self, client: Client, catalogue: Catalogue) -> None:
        relatives = get(client, BASE).context["view"].facts.relatives
        assert [each.repo_id for each in relatives] == [FOUR_BITS, EIGHT_BITS, GGUF]
        siblings = get(client, FOUR_BITS).context["view"].facts.relatives
        assert [each.repo_id for each in siblings] == [EIGHT_BITS, GGUF]
        assert f'href="/discover/{BASE}/"' in page(client, FOUR_BITS)

    def test_whether_it_fits_for_chat_at_a_chosen_context_and_for_training(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        view = get(client, BASE, context="8192").context["view"]
        purposes = [fit.purpose for fit in view.fits.all]
        assert purposes[0] == "Chat with 8,192 tokens"
        assert [purpose.partition(",")[0] for purpose in purposes[1:]] == [
            "LoRA",
            "QLoRA",
            "Full fine-tune",
        ]
        assert all(fit.terms for fit in view.fits.all)

    @pytest.mark.parametrize("context", ["", "many", "-1", "0", "9" * 30, "٣"])
    def test_a_context_that_makes_no_sense_is_the_usual_one_or_the_nearest(
        self, client: Client, catalogue: Catalogue, context: str
    ) -> None:
        page(client, BASE, context=context)

    def test_no_context_beyond_the_models_own_is_offered(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        view = get(client, BASE, context="100000").context["view"]
        assert view.context == view.contexts[-1] == 8192

    def test_a_model_that_is_here_is_linked(self, client: Client, catalogue: Catalogue) -> None:
        LocalModel.objects.create(
            slug="tiny", name="Tiny", path="/nowhere", source="hub", repo_id=BASE, digest="x",
            architecture="llama", parameters=1, quantization="4-bit", size_bytes=1,
            context_length=1,
        )  # fmt: skip
        shown = page(client, BASE)
        assert reverse("models:detail", args=["tiny"]) in shown
        assert f"{reverse('playground:home')}?model=tiny" in shown

    def test_a_repository_of_gguf_files_says_what_to_do(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        shown = page(client, GGUF)
        assert "mlx-hub import FILE" in shown
        assert "mlx-hub pull" not in shown

    def test_a_revision_can_be_chosen(self, client: Client, catalogue: Catalogue) -> None:
        commit = catalogue.server.repos[BASE].commit
        tag = {"name": "v1", "ref": "refs/tags/v1", "targetCommit": commit}
        catalogue.refs[BASE] = {"tags": [tag]}
        assert '<option value="v1">v1 (tag)</option>' in page(client, BASE)
        shown = page(client, BASE, revision=commit)
        assert f'<option value="{commit}" selected>' in shown

    def test_an_unknown_revision_is_not_found(self, client: Client, catalogue: Catalogue) -> None:
        for revision in ("v9", "../..", "a b"):
            response = get(client, BASE, revision=revision)
            assert response.status_code == 404
            assert "evision" in response.content.decode()


class TestTheCard:
    def test_is_shown_without_its_front_matter_its_html_and_its_pictures(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        shown = page(client, BASE)
        assert "<strong>small</strong>" in shown
        assert "language: [en]" not in shown
        assert "alert(" not in shown
        assert "evil.example" not in shown
        assert f"{catalogue.server.endpoint}/{BASE}/blob/" in shown

    def test_a_long_one_is_cut_and_says_so(self, client: Client, catalogue: Catalogue) -> None:
        catalogue.add("odd/Long", {"README.md": b"# Long\n" + b"word " * 2_000_000})
        shown = page(client, "odd/Long")
        assert "The card is longer than is shown here." in shown
        assert len(shown) < 200_000

    def test_one_that_is_no_text_is_harmless(self, client: Client, catalogue: Catalogue) -> None:
        catalogue.add("odd/Bytes", {"README.md": bytes(range(256)) * 20})
        page(client, "odd/Bytes")

    def test_a_repository_without_one_says_so(self, client: Client, catalogue: Catalogue) -> None:
        assert "Its authors wrote none." in page(client, EIGHT_BITS)


class TestWhatIsWrong:
    def test_an_unknown_repository_is_not_found(self, client: Client, catalogue: Catalogue) -> None:
        response = get(client, "acme/nothing")
        assert response.status_code == 404
        assert "acme/nothing is not on" in response.content.decode()

    @pytest.mark.parametrize("path", ["../etc", "..%2F..%2Fetc/passwd", "a/b/c", "a/b..c", "a/--"])
    def test_an_address_that_names_no_repository_is_not_found(
        self, client: Client, catalogue: Catalogue, path: str
    ) -> None:
        assert client.get(f"/discover/{path}/").status_code == 404
        assert catalogue.server.requests == []

    def test_a_gated_model_shows_what_is_public_and_what_to_do(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        catalogue.server.gate(
            BASE, status=403, message="Access is restricted and you are not in the list."
        )
        shown = page(client, BASE)
        assert "has not accepted its conditions" in shown
        assert "pytorch_model.bin" in shown
        assert "Fit unknown" in shown

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            (b'{"a": "' + b"x" * 3_000_000 + b'"}', "too large to be a model"),
            (b"not json", "is not a JSON object"),
            (b"[1]", "is not a JSON object"),
            (b"[" * 200_000, "is not a JSON object"),
            (json.dumps(CONFIG | {"hidden_size": "wide"}).encode(), ""),
            (json.dumps(CONFIG | {"num_hidden_layers": 10**30}).encode(), ""),
            (json.dumps({"model_type": ["x"], "quantization": 4, "layer_types": 1}).encode(), ""),
            (json.dumps({"max_position_embeddings": 1e300, "text_config": "x"}).encode(), ""),
        ],
    )
    def test_a_hostile_config_is_one_clear_line_on_a_safe_page(
        self, client: Client, catalogue: Catalogue, config: bytes, told: str
    ) -> None:
        catalogue.add("odd/Odd", {"config.json": config, "model.safetensors": bytes(100)})
        assert told in page(client, "odd/Odd")

    def test_a_config_that_is_longer_than_listed_is_read_no_further(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        files = {"config.json": b"{}", "model.safetensors": bytes(100)}
        catalogue.add("odd/Odd", files)
        catalogue.server.forged["config.json"] = b" " * 100_000_000
        assert "too large to be a model" in page(client, "odd/Odd")

    @pytest.mark.parametrize(
        "facts",
        [
            {"siblings": "none"},
            {"siblings": None},
            {"sha": 5},
            {"sha": "../.."},
            {"id": "other/../thing"},
        ],
    )
    def test_an_answer_that_is_no_hubs_is_told(
        self, client: Client, catalogue: Catalogue, facts: dict[str, Any]
    ) -> None:
        catalogue.add("odd/Odd", {}, **facts)
        response = get(client, "odd/Odd")
        assert response.status_code == 502
        assert "did not answer as Hugging Face does" in response.content.decode()

    def test_wrong_types_are_like_nothing_at_all(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        siblings = [
            3, {"rfilename": 5}, {"rfilename": "../../x", "size": 5, "blobId": "0" * 40},
            {"rfilename": "a.json", "size": -5}, {"rfilename": "b.json", "size": "big"},
            {"rfilename": "<script>alert(1)</script>.json", "size": 1, "lfs": "x"},
        ]  # fmt: skip
        catalogue.add("odd/Odd", {}, siblings=siblings, cardData=[1], tags="mlx", config=4)
        catalogue.refs["odd/Odd"] = {"branches": "x", "tags": [5, {"name": ["v"]}]}
        response = get(client, "odd/Odd")
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
        assert not any(each.is_needed for each in response.context["view"].files)


class TestWhatIsKept:
    def test_a_page_is_asked_for_once(self, client: Client, catalogue: Catalogue) -> None:
        page(client, BASE)
        asked = len(catalogue.server.requests)
        page(client, BASE, context="2048")
        assert len(catalogue.server.requests) == asked

    def test_refresh_asks_anew_and_leads_back(self, client: Client, catalogue: Catalogue) -> None:
        page(client, BASE)
        asked = len(catalogue.server.requests)
        owner, name = BASE.split("/")
        response = client.post(reverse("discover:refresh_model", args=[owner, name]) + "?context=1")
        assert response.headers["Location"] == f"/discover/{BASE}/?context=1"
        assert len(catalogue.server.requests) == 2 * asked

    def test_an_unreachable_hub_leaves_the_old_page_with_the_reason(
        self, client: Client, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page(client, BASE)
        monkeypatch.setattr("apps.discovery.keeping.FRESH_SECONDS", -1.0)
        catalogue.server.broken_info = (503, b"busy")
        shown = page(client, BASE)
        assert "status 503" in shown
        assert "<strong>small</strong>" in shown

    def test_a_part_that_could_not_be_had_is_told_and_tried_again(
        self, client: Client, catalogue: Catalogue
    ) -> None:
        catalogue.server.fail("README.md", Failure(500))
        assert "answered with status 500" in page(client, BASE)
        assert "<strong>small</strong>" in page(client, BASE)
