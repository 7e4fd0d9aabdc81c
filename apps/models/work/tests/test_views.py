"""The pages where work is ordered and followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.jobs.models import JobState, Wish
from apps.models.models import Adapter, LocalModel
from apps.models.work.models import ModelJob
from tests.registry import make_model

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
MEASURED = {"size_bytes": 2048, "bits_per_weight": 16.0, "perplexity": 10.0}


def job(kind: str = "convert", **fields: Any) -> ModelJob:
    plan = {"slug": "new", "name": "New", "quantization": {"bits": 4}} if kind == "convert" else {}
    return ModelJob.objects.create(kind=kind, subject="Tiny", **{"plan": plan} | fields)


def page_of(one: ModelJob) -> str:
    return reverse("models:job", args=[one.pk])


class TestOrders:
    def test_a_conversion_is_ordered_and_its_page_follows(
        self, client: Client, tiny: LocalModel
    ) -> None:
        url = reverse("models:convert", args=["tiny"])
        assert "such as Tiny 4-bit." in client.get(url).content.decode()

        response = client.post(
            url, {"packing": "mixed_3_6", "group_size": "32", "name": "Tiny Mixed", "dtype": ""}
        )

        ordered = ModelJob.objects.get()
        assert response.headers["Location"] == page_of(ordered)
        assert ordered.plan["slug"] == "tiny-mixed"
        assert ordered.plan["quantization"]["mixed"] == "mixed_3_6"
        assert ordered.plan["measure"] is False
        assert "mixed 3/6-bit, groups of 32" in client.get(page_of(ordered)).content.decode()

    @pytest.mark.parametrize(
        ("packing", "name", "slug"),
        [
            ("8", "Tiny 8-bit", "tiny-8-bit"),
            ("mixed_3_6", "Tiny mixed 3/6-bit", "tiny-mixed-3-6-bit"),
        ],
    )
    def test_a_conversion_without_a_name_is_called_by_its_quantisation(
        self, client: Client, tiny: LocalModel, packing: str, name: str, slug: str
    ) -> None:
        given = {"packing": packing, "group_size": "", "name": " ", "dtype": ""}

        client.post(reverse("models:convert", args=["tiny"]), given)

        plan = ModelJob.objects.get().plan
        assert (plan["name"], plan["slug"]) == (name, slug)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"name": "tiny"}, "exists already"),
            ({"name": "///"}, "Use some letters or digits."),
            ({"name": "import"}, "address of the hub&#x27;s own"),
            ({"packing": "mxfp4", "group_size": "32"}, "fixes bits and group size itself"),
            ({"packing": "9"}, "Select a valid choice"),
        ],
    )
    def test_a_mistake_stands_beside_its_field(
        self, client: Client, tiny: LocalModel, fields: dict[str, str], message: str
    ) -> None:
        given = {"packing": "4", "group_size": "", "name": "New", "dtype": ""} | fields

        response = client.post(reverse("models:convert", args=["tiny"]), given)

        assert response.status_code == 422
        assert message in response.content.decode()
        assert not ModelJob.objects.exists()

    def test_the_adapter_in_the_address_is_chosen(self, client: Client, tiny: LocalModel) -> None:
        for slug in ("one", "two"):
            Adapter.objects.create(base=tiny, slug=slug, name=slug.title(), path="/a", digest="d")
        two = Adapter.objects.get(slug="two")

        page = client.get(reverse("models:fuse", args=["tiny"]), {"adapter": two.pk})

        assert f'<option value="{two.pk}" selected>' in page.content.decode()
        assert "such as Tiny Two." in page.content.decode()

        client.post(reverse("models:fuse", args=["tiny"]), {"adapter": two.pk, "name": ""})
        assert ModelJob.objects.get().plan["name"] == "Tiny Two"

    def test_another_models_adapter_can_not_be_fused(
        self, client: Client, tiny: LocalModel
    ) -> None:
        other = make_model("other")
        adapter = Adapter.objects.create(base=other, slug="a", name="A", path="/a", digest="d")

        response = client.post(
            reverse("models:fuse", args=["tiny"]), {"adapter": adapter.pk, "name": "New"}
        )

        assert not ModelJob.objects.exists()
        assert response.status_code == 422

    def test_a_model_without_adapters_says_so(self, client: Client, tiny: LocalModel) -> None:
        page = client.get(reverse("models:fuse", args=["tiny"]), {"adapter": "9" * 50})

        assert "There is no adapter over this model." in page.content.decode()

    def test_an_export_and_a_verification_are_ordered(
        self, client: Client, tiny: LocalModel
    ) -> None:
        client.post(reverse("models:export", args=["tiny"]), {"format": "gguf"})
        client.post(reverse("models:verify", args=["tiny"]))

        assert list(ModelJob.objects.values_list("kind", flat=True)) == ["verify", "export"]

    def test_where_an_export_lies_already_another_name_helps(
        self, client: Client, tiny: LocalModel, settings: Settings, tmp_path: Path
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
        exports = Path(settings.HUB.exports_dir)
        exports.mkdir()
        (exports / "tiny.gguf").touch()
        url = reverse("models:export", args=["tiny"])

        refused = client.post(url, {"format": "gguf", "name": ""})
        client.post(url, {"format": "gguf", "name": "second.gguf"})

        assert refused.status_code == 422
        assert "exists already" in refused.content.decode()
        assert ModelJob.objects.get().plan["destination"] == str(exports / "second.gguf")

    @pytest.mark.parametrize("name", ["../up", "/etc/x", ".hidden"])
    def test_an_export_stays_in_its_folder(
        self, client: Client, tiny: LocalModel, name: str
    ) -> None:
        url = reverse("models:export", args=["tiny"])
        assert client.post(url, {"format": "gguf", "name": name}).status_code == 422

    @pytest.mark.parametrize("what", ["convert", "fuse", "export", "verify"])
    def test_an_unknown_model_is_not_found(self, client: Client, what: str) -> None:
        assert client.post(reverse(f"models:{what}", args=["gone"])).status_code == 404


class TestJob:
    def test_a_running_one_is_followed_and_can_be_cancelled(self, client: Client) -> None:
        running = job(state=JobState.RUNNING, doing="writing weights", fraction=0.4)
        part = client.get(page_of(running), headers=HTMX).content.decode()
        assert "Writing weights" in part
        assert 'value="40"' in part
        assert "<body" not in part

        client.post(reverse("models:job_cancel", args=[running.pk]), headers=HTMX)

        running.refresh_from_db()
        assert running.wish == Wish.CANCEL

    def test_one_that_is_over_is_polled_no_more_and_shows_its_figures(self, client: Client) -> None:
        after = MEASURED | {"size_bytes": 1024, "note": "Too large: not measured."}
        done = job(
            state=JobState.DONE,
            result=make_model("new"),
            figures={"before": MEASURED, "after": after},
        )

        page = client.get(page_of(done)).content.decode()

        assert "data-poll" not in page.split('id="job"')[1].split(">")[0]
        assert "-50.0%" in page
        assert "Too large: not measured." in page
        assert f'href="{reverse("models:detail", args=["new"])}"' in page

    def test_damage_that_a_verification_found_is_told(self, client: Client) -> None:
        done = job("verify", state=JobState.DONE, figures={"damage": "changed: a", "files": 3})

        assert "changed: a" in client.get(page_of(done)).content.decode()

    def test_a_failed_one_says_why_and_can_be_started_again(self, client: Client) -> None:
        failed = job(state=JobState.FAILED, error="No room on the <b>disk</b>.")
        page = client.get(page_of(failed)).content.decode()
        assert "No room on the &lt;b&gt;disk&lt;/b&gt;." in page

        client.post(reverse("models:job_repeat", args=[failed.pk]))

        failed.refresh_from_db()
        assert failed.state == JobState.QUEUED

    def test_one_that_is_over_can_be_forgotten_and_an_active_one_not(self, client: Client) -> None:
        active, over = job(), job(state=JobState.CANCELLED)
        for one in (active, over):
            client.post(reverse("models:job_delete", args=[one.pk]))

        assert ModelJob.objects.get() == active

    def test_an_unknown_one_is_not_found(self, client: Client) -> None:
        assert client.get(reverse("models:job", args=[99])).status_code == 404


class TestList:
    def test_jobs_are_listed_and_those_beside_their_model(
        self, client: Client, tiny: LocalModel
    ) -> None:
        job(model=tiny, state=JobState.DONE)
        listed = client.get(reverse("models:jobs")).content.decode()
        assert "Conversion of Tiny" in listed
        assert (
            "Conversion of Tiny"
            in client.get(reverse("models:detail", args=["tiny"])).content.decode()
        )

    def test_the_table_alone_answers_htmx(self, client: Client) -> None:
        job()
        part = client.get(reverse("models:jobs"), headers=HTMX).content.decode()
        assert "data-poll" in part
        assert "<body" not in part

    def test_none_is_one_sentence(self, client: Client) -> None:
        assert "No model was converted" in client.get(reverse("models:jobs")).content.decode()
