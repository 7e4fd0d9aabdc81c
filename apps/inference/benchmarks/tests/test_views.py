"""The Benchmarks pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.models import BenchmarkRun
from apps.jobs.models import Wish
from apps.models.models import LocalModel

pytestmark = pytest.mark.django_db

HOME = reverse("benchmarks:home")
START = reverse("benchmarks:start")
HTMX = {"HX-Request": "true"}


def at(name: str, key: int) -> str:
    return reverse(f"benchmarks:{name}", args=[key])


def text_of(response: Any) -> str:
    return response.content.decode()


class TestHome:
    def test_says_what_a_benchmark_measures_where_none_was_run(
        self, client: Client, tiny: LocalModel
    ) -> None:
        page = text_of(client.get(HOME))
        assert "No benchmark has been run yet." in page
        assert '<option value="tiny">tiny</option>' in page

    def test_lists_runs_with_their_figures_and_states(self, client: Client) -> None:
        make_run()
        make_run("failed", error="It broke.")
        page = text_of(client.get(HOME))
        assert "40.0 ms" in page
        assert "Done" in page
        assert "Failed" in page

    def test_shows_the_runs_under_way_apart(self, client: Client) -> None:
        make_run("running", doing="New prompt, round 1 of 1", steps_done=1)
        page = text_of(client.get(HOME))
        assert "New prompt, round 1 of 1" in page
        assert "1 of 7 steps" in page

    def test_turns_its_pages(self, client: Client) -> None:
        for _ in range(26):
            make_run("cancelled")
        assert "Page 1 of 2" in text_of(client.get(HOME))
        assert "Page 2 of 2" in text_of(client.get(HOME, {"page": 2}))

    def test_survives_an_address_that_makes_no_sense(self, client: Client) -> None:
        make_run()
        response = client.get(HOME, {"page": "x", "model": "nope", "measure": "nope"})
        assert response.status_code == 200


class TestHistory:
    def plotted(self, client: Client, **query: str) -> dict[str, Any]:
        page = text_of(client.get(HOME, query))
        data = page.partition('<script id="history-data" type="application/json">')[2]
        return json.loads(data.partition("</script>")[0])

    def test_plots_a_line_for_each_server_with_the_target(self, client: Client) -> None:
        make_run(base_url="http://other.test/v1")
        make_run(speed=2)
        plotted = self.plotted(client, measure="warm")
        assert plotted["servers"] == ["this hub", "other.test"]
        assert plotted["data"][1:] == [[None, 20.0], [40.0, None]]
        assert plotted["target"] == 50.0
        assert plotted["data"][0] == sorted(plotted["data"][0])

    def test_draws_no_target_for_what_has_none(self, client: Client) -> None:
        make_run()
        assert self.plotted(client, measure="rate-4")["target"] is None

    def test_has_a_table_with_the_same_numbers(self, client: Client) -> None:
        make_run()
        page = text_of(client.get(HOME, {"measure": "memory"}))
        assert "2.00 GiB" in page

    def test_shows_one_model_at_a_time(self, client: Client) -> None:
        make_run()
        make_run(model_name="large")
        assert len(self.plotted(client, model="tiny")["data"][0]) == 1

    def test_says_so_where_no_run_has_the_figure(self, client: Client) -> None:
        make_run()
        page = text_of(client.get(HOME, {"measure": "rate-16"}))
        assert "No run of tiny has this figure yet." in page


class TestStart:
    def test_queues_a_run_and_leads_to_it(
        self,
        client: Client,
        tiny: LocalModel,
        queued: list[int],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        form = {"target": "hub", "kind": "quick", "model": "tiny", "clients": "2, 1", "rounds": "4"}
        with django_capture_on_commit_callbacks(execute=True):
            response = client.post(START, form)
        run = BenchmarkRun.objects.get()
        assert response.headers["Location"] == at("detail", run.pk)
        assert queued == [run.pk]
        assert (run.model_name, run.model_digest) == ("tiny", "digest-tiny")
        assert run.plan["clients"] == [1, 2]
        assert run.plan["rounds"] == 4
        assert run.steps_total == 1 + 4 * (4 + 2)

    def test_takes_another_server_and_the_size_its_models_name_tells(
        self, client: Client, queued: list[int]
    ) -> None:
        form = {
            "target": "server",
            "kind": "full",
            "base_url": "http://other.test:1234",
            "server_model": "llama-3b",
        }
        client.post(START, form)
        run = BenchmarkRun.objects.get()
        assert run.base_url == "http://other.test:1234/v1"
        assert run.parameters == 3_000_000_000
        assert run.target == "other.test:1234"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"model": "gone"}, "Select a valid choice"),
            ({"model": ""}, "Choose a model."),
            ({"clients": "one"}, "Whole numbers"),
            ({"clients": "0"}, "From 1 to 64 clients."),
            ({"rounds": "99"}, "less than or equal to 20"),
            ({"target": "server"}, "Give the server"),
            ({"target": "server", "base_url": "ftp://x"}, "no address of an API"),
            ({"target": "server", "base_url": "http://x"}, "Give the name"),
            ({"kind": "huge"}, "Select a valid choice"),
        ],
    )
    def test_a_mistake_comes_back_beside_its_field(
        self, client: Client, tiny: LocalModel, changes: dict[str, str], words: str
    ) -> None:
        response = client.post(START, {"target": "hub", "kind": "quick", "model": "tiny"} | changes)
        assert response.status_code == 200
        assert words in text_of(response)
        assert not BenchmarkRun.objects.exists()

    def test_refuses_a_form_that_another_site_sent(self) -> None:
        assert Client(enforce_csrf_checks=True).post(START).status_code == 403


class TestActive:
    def test_follows_runs_and_names_those_that_ended_meanwhile(self, client: Client) -> None:
        ended, running = make_run(), make_run("running")
        query = {"run": [ended.pk, running.pk]}
        page = text_of(client.get(reverse("benchmarks:active"), query, headers=HTMX))
        assert f">Benchmark {ended.pk}</a>: tiny on this hub" in page
        assert f"?run={ended.pk}&amp;run={running.pk}" in page
        assert "<body" not in page

    def test_asks_no_more_once_nothing_is_under_way(self, client: Client) -> None:
        ended = make_run()
        page = text_of(client.get(reverse("benchmarks:active"), {"run": ended.pk}, headers=HTMX))
        assert "hx-trigger" not in page


class TestDetail:
    def test_shows_figures_target_and_facts(self, client: Client) -> None:
        run = make_run(machine={"system": "Linux", "processor": "arm64", "cores": 8, "hub": "1"})
        page = text_of(client.get(at("detail", run.pk)))
        assert "below the target of 50.0 ms" in page
        assert page.count("bars__target") == 1
        assert "Longest wait for a first token" in page
        assert "2.0\xa0GB" in page
        assert "arm64" in page
        assert "hx-trigger" not in page.partition('id="run"')[2].partition(">")[0]

    def test_a_model_without_a_target_gets_no_line(self, client: Client) -> None:
        run = make_run(parameters=70_000_000_000)
        page = text_of(client.get(at("detail", run.pk)))
        assert "bars__target" not in page
        assert "target of" not in page

    def test_says_that_another_servers_memory_is_not_known(self, client: Client) -> None:
        run = make_run(base_url="http://other.test/v1", peak_memory_bytes=None)
        assert "another server does not tell it" in text_of(client.get(at("detail", run.pk)))

    def test_follows_a_run_under_way(self, client: Client) -> None:
        run = make_run("running", doing="4 clients, round 1 of 1")
        page = text_of(client.get(at("detail", run.pk), headers=HTMX))
        assert "4 clients, round 1 of 1" in page
        assert 'hx-trigger="every 1s' in page
        assert "<body" not in page

    def test_says_why_a_run_failed(self, client: Client) -> None:
        run = make_run("failed", error="Nothing answers at <b>.")
        page = text_of(client.get(at("detail", run.pk)))
        assert "The benchmark failed" in page
        assert "Nothing answers at &lt;b&gt;." in page

    def test_an_unknown_run_is_not_found(self, client: Client) -> None:
        assert client.get(at("detail", 4711)).status_code == 404


class TestCancel:
    def test_ends_a_queued_run_at_once(self, client: Client) -> None:
        run = make_run("queued")
        response = client.post(at("cancel", run.pk))
        run.refresh_from_db()
        assert run.state == BenchmarkRun.State.CANCELLED
        assert response.headers["Location"] == at("detail", run.pk)

    @pytest.mark.parametrize(("target", "place"), [("active", 'id="active"'), ("run", 'id="run"')])
    def test_asks_a_running_one_to_end_and_shows_that_where_it_was_pressed(
        self, client: Client, target: str, place: str
    ) -> None:
        run = make_run("running")
        headers = HTMX | {"HX-Target": target}
        page = text_of(client.post(at("cancel", run.pk), headers=headers))
        run.refresh_from_db()
        assert run.wish == Wish.CANCEL
        assert "Cancelling" in page
        assert place in page

    def test_leaves_a_run_that_is_over_as_it_is(self, client: Client) -> None:
        run = make_run()
        client.post(at("cancel", run.pk))
        run.refresh_from_db()
        assert run.is_done

    def test_needs_a_post(self, client: Client) -> None:
        assert client.get(at("cancel", make_run("queued").pk)).status_code == 405


class TestDelete:
    def test_forgets_a_run_that_is_over(self, client: Client) -> None:
        run = make_run()
        response = client.post(at("delete", run.pk))
        assert response.headers["Location"] == HOME
        assert not BenchmarkRun.objects.exists()

    def test_keeps_one_that_is_not_and_says_what_to_do(self, client: Client) -> None:
        run = make_run("running")
        response = client.post(at("delete", run.pk))
        (message,) = get_messages(response.wsgi_request)
        assert "Cancel it first" in str(message)
        assert BenchmarkRun.objects.exists()


class TestCompare:
    def test_lays_the_chosen_runs_over_each_other(self, client: Client) -> None:
        first, second = make_run(), make_run(base_url="http://other.test/v1", speed=2)
        page = text_of(client.get(reverse("benchmarks:compare"), {"run": [second.pk, first.pk]}))
        assert page.count('<rect class="series-2"') == page.count('<rect class="series-1"')
        assert f"#{first.pk}" in page
        assert "other.test" in page

    def test_compares_a_run_that_measured_other_numbers_of_clients(self, client: Client) -> None:
        first, second = make_run(), make_run()
        second.figures["throughput"].pop()
        second.save()
        page = text_of(client.get(reverse("benchmarks:compare"), {"run": [first.pk, second.pk]}))
        assert page.count('<rect class="series-1"') > page.count('<rect class="series-2"')

    def test_shows_five_at_most_and_says_so(self, client: Client) -> None:
        keys = [make_run().pk for _ in range(6)]
        page = text_of(client.get(reverse("benchmarks:compare"), {"run": keys}))
        assert "Not all of them are shown" in page
        assert "series-6" not in page

    @pytest.mark.parametrize("query", [{}, {"run": "x"}, {"run": "9" * 30}, {"run": "4711"}])
    def test_says_what_to_do_where_nothing_is_chosen(
        self, client: Client, query: dict[str, str]
    ) -> None:
        assert "Choose runs" in text_of(client.get(reverse("benchmarks:compare"), query))


class TestExport:
    def test_holds_the_chosen_runs_with_every_sample(self, client: Client) -> None:
        run = make_run()
        make_run("failed")
        response = client.get(reverse("benchmarks:export"), {"run": run.pk})
        (exported,) = response.json()["benchmarks"]
        assert exported["id"] == run.pk
        assert exported["figures"]["first_token"][1]["seconds"] == {
            "samples": [0.04],
            "median": 0.04,
        }
        assert exported["warm_target_seconds"] == 0.05
        assert f'filename="benchmark-{run.pk}.json"' in response.headers["Content-Disposition"]

    def test_holds_all_runs_where_none_is_chosen(self, client: Client) -> None:
        make_run()
        make_run("failed")
        assert len(client.get(reverse("benchmarks:export")).json()["benchmarks"]) == 2
