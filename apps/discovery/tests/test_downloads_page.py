"""The Downloads page and the status bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from apps.discovery.downloads import services
from apps.discovery.downloads.models import Download
from apps.discovery.tests.conftest import REPO
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState, Wish
from tests.registry import make_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("woken")]

HOME = reverse("downloads:home")
START = reverse("downloads:start")
HTMX = {"HX-Request": "true"}


def at(name: str, key: int) -> str:
    return reverse(f"downloads:{name}", args=[key])


def text_of(response: Any) -> str:
    return response.content.decode()


def make(state: str = "queued", **fields: Any) -> Download:
    values: dict[str, Any] = {
        "repo_id": REPO,
        "commit": "a" * 40,
        "slug": f"tiny-{Download.objects.count()}",
        "bytes_total": 4_000_000_000,
        "state": state,
    }
    return Download.objects.create(**values | fields)


class TestHome:
    def test_says_where_models_come_from_where_nothing_is_on_its_way(self, client: Client) -> None:
        page = text_of(client.get(HOME))
        assert "Nothing is on its way." in page
        assert 'id="over-title"' not in page

    def test_shows_bytes_rate_and_time_left_of_what_runs(self, client: Client) -> None:
        make("running", place=1, bytes_done=1_000_000_000, rate=2e6, doing="downloading x")
        page = text_of(client.get(HOME))
        assert "1.0 GB of 4.0 GB · 2.0 MB/s · 25 min left" in page
        assert "downloading x" in page
        assert '<progress class="progress__bar" max="4000000000" value="1000000000"' in page

    def test_offers_what_each_state_allows(self, client: Client) -> None:
        for state, buttons in {
            "running": {"Pause", "Cancel"},
            "queued": {"Pause", "Cancel"},
            "paused": {"Resume", "Cancel"},
            "failed": {"Try again", "Cancel"},
            "interrupted": {"Resume", "Cancel"},
        }.items():
            Download.objects.all().delete()
            make(state)
            page = text_of(client.get(reverse("downloads:active"), headers=HTMX))
            offered = {
                word
                for word in ("Pause", "Resume", "Try again", "Next", "Cancel")
                if f">{word}<" in page
            }
            assert offered == buttons, state

    def test_only_those_that_wait_behind_another_can_be_put_first(self, client: Client) -> None:
        make()
        make()
        assert text_of(client.get(HOME)).count(">Next<") == 1

    def test_says_what_is_about_to_happen_and_takes_no_second_wish(self, client: Client) -> None:
        make("running", wish=Wish.CANCEL)
        page = text_of(client.get(reverse("downloads:active"), headers=HTMX))
        assert "Cancelling" in page
        assert "<button" not in page

    def test_shows_why_one_failed_beside_it(self, client: Client) -> None:
        make("failed", error="The disk is full. Make room.")
        page = text_of(client.get(HOME))
        assert "It failed" in page
        assert "The disk is full. Make room." in page

    def test_says_what_became_of_one_that_it_showed(self, client: Client) -> None:
        done = make("done", model=make_model("tiny"))
        active = reverse("downloads:active")
        assert "Done" not in text_of(client.get(active, headers=HTMX))
        page = text_of(client.get(active, {"download": [done.pk, "x", "9" * 30]}, headers=HTMX))
        assert "Done" in page
        assert reverse("models:detail", args=["tiny"]) in page
        assert "Nothing is on its way." not in page

    def test_never_takes_what_the_hub_said_for_markup(self, client: Client) -> None:
        make("failed", error="<script>alert(1)</script>", doing="<b>x</b>")
        page = text_of(client.get(HOME))
        assert "<script>alert(1)" not in page
        assert "<b>x</b>" not in page

    def test_lists_what_is_over_page_by_page(self, client: Client) -> None:
        for _ in range(26):
            make("cancelled")
        make("done", model=make_model("tiny"))
        page = text_of(client.get(HOME))
        assert reverse("models:detail", args=["tiny"]) in page
        assert "Page 1 of 2" in page
        assert "Page 2 of 2" in text_of(client.get(HOME, {"page": 2}))


class TestStart:
    @pytest.fixture(autouse=True)
    def tiny(self, models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
        hub_server.add(REPO, tiny_files)

    def test_orders_a_download(self, client: Client, hub_server: HubServer) -> None:
        response = client.post(START, {"repo_id": f" {REPO} ", "revision": "", "slug": "mine"})
        download = Download.objects.get()
        assert response.headers["Location"] == HOME
        assert (download.repo_id, download.slug, download.revision) == (REPO, "mine", "")

    def test_an_order_that_is_refused_comes_back_with_the_reason(self, client: Client) -> None:
        response = client.post(START, {"repo_id": "acme/nothing", "slug": "mine"})
        page = text_of(response)
        assert response.status_code == 422
        assert "acme/nothing is not on" in page
        assert 'value="mine"' in page

    def test_an_empty_order_names_the_field(self, client: Client) -> None:
        response = client.post(START, {})
        assert response.status_code == 422
        assert "This field is required." in text_of(response)

    def test_a_model_that_is_here_is_shown(self, client: Client) -> None:
        make_model("tiny", repo_id=REPO, path="/tmp")
        response = client.post(START, {"repo_id": REPO})
        assert response.headers["Location"] == reverse("models:detail", args=["tiny"])
        assert [str(one) for one in get_messages(response.wsgi_request)] == [
            f"{REPO} is here already."
        ]

    def test_one_that_is_on_its_way_is_said_to_be(self, client: Client) -> None:
        services.start(repo_id=REPO)
        response = client.post(START, {"repo_id": REPO})
        assert "on its way already" in str(next(iter(get_messages(response.wsgi_request))))
        assert Download.objects.count() == 1


class TestActions:
    @pytest.mark.parametrize(
        ("action", "before", "after"),
        [
            ("pause", "queued", "paused"),
            ("resume", "paused", "queued"),
            ("resume", "failed", "queued"),
            ("cancel", "paused", "cancelled"),
            ("cancel", "failed", "cancelled"),
        ],
    )
    def test_changes_the_state(
        self, action: str, before: str, after: str, client: Client, models_dir: Path
    ) -> None:
        download = make(before)
        assert client.post(at(action, download.pk)).headers["Location"] == HOME
        download.refresh_from_db()
        assert download.state == after

    def test_answers_htmx_with_the_part_that_changed(self, client: Client) -> None:
        download = make()
        page = text_of(client.post(at("pause", download.pk), headers=HTMX))
        assert page.lstrip().startswith('<div class="stack downloads__active"')
        assert "Paused" in page

    def test_says_why_something_was_not_done(self, client: Client) -> None:
        stopped = make("paused", slug="tiny")
        Download.objects.filter(pk=stopped.pk).update(state=JobState.FAILED)
        make(slug="tiny")
        page = text_of(client.post(at("resume", stopped.pk), headers=HTMX))
        assert "Cancel that one first." in page

    def test_takes_what_is_over_off_the_list_and_nothing_else(self, client: Client) -> None:
        done, queued = make("done"), make()
        client.post(at("forget", done.pk))
        client.post(at("forget", queued.pk))
        assert list(Download.objects.all()) == [queued]

    def test_wants_a_post_and_a_download_that_exists(self, client: Client) -> None:
        assert client.get(at("cancel", make().pk)).status_code == 405
        assert client.post(at("cancel", 999)).status_code == 404


class TestRepository:
    def page(self, client: Client) -> str:
        return text_of(
            client.get(reverse("downloads:repository", args=REPO.split("/")), headers=HTMX)
        )

    def test_is_empty_where_nothing_was_ordered(self, client: Client) -> None:
        assert "progress" not in self.page(client)

    def test_shows_how_far_it_is_and_what_came_of_it(self, client: Client) -> None:
        download = make("running", bytes_done=1_000_000_000)
        assert "1.0 GB of 4.0 GB" in self.page(client)
        Download.objects.filter(pk=download.pk).update(state="done", model=make_model("tiny"))
        assert "Downloaded" in self.page(client)


class TestStatusBar:
    def bar(self, client: Client) -> str:
        return text_of(client.get(reverse("system:status"), headers=HTMX))

    def test_says_nothing_where_nothing_is_on_its_way(self, client: Client) -> None:
        make("done")
        assert "status-downloads" not in self.bar(client)

    def test_sums_up_what_runs_and_waits(self, client: Client) -> None:
        make("running", bytes_done=3_000_000_000, rate=1e6)
        make("running", bytes_done=3_000_000_000, rate=1e6)
        make()
        bar = self.bar(client)
        assert "50%" in bar
        assert "of 12.0 GB" in bar
        assert "· 2.0 MB/s · 50 min" in bar
        assert ", 1 waiting" in bar

    def test_tells_of_what_needs_somebody(self, client: Client) -> None:
        make("failed")
        make("paused")
        assert "2 downloads stopped" in strip_tags(self.bar(client))
