"""The Import page: what it shows, and what its forms refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.models.found.scan import Places
from apps.models.found.tests.stores import gguf_file, hf_repository, lm_studio_folder, ollama_model
from apps.models.work.models import ModelJob
from tests.registry import make_model

pytestmark = pytest.mark.django_db

HOME = reverse("models:import")
START = reverse("models:import_start")
HTMX = {"HX-Request": "true"}


def text_of(response: Any) -> str:
    return response.content.decode()


def make_job(state: str = "running", **fields: Any) -> ModelJob:
    plan = {"path": "/x", "slug": "x", "name": "x", "uploaded": False}
    values = {"kind": "import", "subject": "A model", "plan": plan, "state": state}
    return ModelJob.objects.create(**(values | fields))


class TestHome:
    def test_says_that_nothing_was_found(self, client: Client) -> None:
        assert "Neither the Hugging Face cache" in text_of(client.get(HOME))

    def test_lists_what_other_programs_keep_with_what_an_import_does(
        self, client: Client, where: Places
    ) -> None:
        hf_repository(where.hf_cache, "a/hub-model")
        ollama_model(where.ollama)

        page = text_of(client.get(HOME))

        assert "a/hub-model" in page
        assert "Import in place" in page
        assert "tiny:1b" in page
        assert "Convert and import" in page

    def test_says_why_something_can_not_be_imported(self, client: Client, where: Places) -> None:
        gguf_file(where.lm_studio[0] / "a" / "b" / "x.gguf", architecture="mamba")

        page = text_of(client.get(HOME))

        assert "does not know the family" in page
        assert "Can&#x27;t be imported" in page or "Can't be imported" in page
        assert "Convert and import" not in page

    def test_links_to_what_was_imported_already(self, client: Client, where: Places) -> None:
        snapshot = hf_repository(where.hf_cache, "a/b")
        blob = ollama_model(where.ollama)
        here = make_model("here", path=str(snapshot))
        copy = make_model("copy")
        plan = {"path": str(blob), "slug": "copy", "name": "copy", "uploaded": False}
        make_job("done", plan=plan, result=copy)

        page = text_of(client.get(HOME))

        for model in (here, copy):
            assert reverse("models:detail", args=[model.slug]) in page
        assert "Import in place" not in page
        assert "Convert and import" not in page

    def test_markup_in_names_stays_text(self, client: Client, where: Places) -> None:
        lm_studio_folder(where.lm_studio[0], "<img src=x>/<b>bold")

        page = text_of(client.get(HOME))

        assert "<b>bold" not in page
        assert "&lt;b&gt;bold" in page

    def test_shows_what_is_being_imported(self, client: Client, where: Places) -> None:
        blob = ollama_model(where.ollama)
        plan = {"path": str(blob), "slug": "x", "name": "x", "uploaded": False}
        make_job("running", plan=plan)

        page = text_of(client.get(HOME))

        assert "Importing" in page
        assert "Convert and import" not in page


class TestStart:
    def test_queues_an_import_and_leads_to_it(self, client: Client, folder: Path) -> None:
        answer = client.post(START, {"path": str(folder), "name": "Mine"})

        assert (answer.status_code, answer["Location"]) == (302, f"{HOME}#jobs")
        assert ModelJob.objects.get().plan["path"] == str(folder)

    @pytest.mark.parametrize(
        ("path", "complaint"),
        [
            ("", "This field is required"),
            ("relative/path", "Give the full path"),
            ("/nowhere/at/all", "There is nothing at"),
            ("/etc/hostname", "not a GGUF file"),
            ("/\x00", "Null characters"),
            ("~nobody-of-that-name/x", "full path"),
        ],
    )
    def test_a_path_that_can_not_be_taken_comes_back_with_its_reason(
        self, client: Client, path: str, complaint: str
    ) -> None:
        answer = client.post(START, {"path": path})

        assert complaint in text_of(answer)
        assert not ModelJob.objects.exists()

    def test_a_name_that_is_taken_comes_back_beside_the_name(
        self, client: Client, folder: Path
    ) -> None:
        make_model("mine")

        answer = client.post(START, {"path": str(folder)})

        assert "exists already" in text_of(answer)
        assert answer.context["form"].errors.keys() == {"name"}


class TestJobs:
    def test_shows_how_far_an_import_is_and_follows_it(self, client: Client) -> None:
        make_job(doing="converting weights", fraction=0.4)

        page = text_of(client.get(reverse("models:import_jobs"), headers=HTMX))

        assert "Converting weights" in page
        assert 'value="40"' in page
        assert "every 2s" in page

    def test_stops_following_once_all_are_over(self, client: Client) -> None:
        make_job("failed", error="It is `damaged`.")

        page = text_of(client.get(reverse("models:import_jobs"), headers=HTMX))

        assert "It is <code>damaged</code>." in page
        assert "every 2s" not in page

    def test_leaves_out_jobs_of_other_kinds(self, client: Client) -> None:
        make_job(kind="convert", subject="Something else")

        assert "Something else" not in text_of(client.get(HOME))

    def test_cancelling_answers_htmx_with_the_jobs(self, client: Client) -> None:
        job = make_job("queued")

        answer = client.post(reverse("models:import_cancel", args=[job.pk]), headers=HTMX)

        assert "Cancelled" in text_of(answer)
        job.refresh_from_db()
        assert job.state == "cancelled"

    def test_only_imports_can_be_cancelled_here(self, client: Client) -> None:
        job = make_job(kind="convert")

        assert client.post(reverse("models:import_cancel", args=[job.pk])).status_code == 404
