"""Alerts from what is the matter to who is told of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from apps.audit.models import AuditEntry
from apps.datasets.models import Dataset, DatasetJob
from apps.discovery.downloads.models import Download
from apps.discovery.publishing.models import Publication
from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.usage.models import RequestRecord
from apps.jobs.models import Job, JobState
from apps.system.alerts import conditions, delivering
from apps.system.alerts.conditions import KINDS, Matter, kind_of
from apps.system.alerts.delivering import MOST_ATTEMPTS, deliver_due, signature
from apps.system.alerts.evaluating import Evaluator, reconcile
from apps.system.alerts.models import Alert, Delivery, Rule, Webhook
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.django_db
PAGE = "/system/alerts/"
HTMX = {"HX-Request": "true"}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = NOW.timestamp()
GIB = 1024**3
Disk = namedtuple("Disk", "total used free")
State = Delivery.State


class _Receiver(HTTPServer):
    """Keeps what it is told; answers with ``status``."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    server = _Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def webhook(receiver: _Receiver) -> Webhook:
    return Webhook.objects.create(url=receiver.url)


def full(monkeypatch: pytest.MonkeyPatch, *, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(100 * GIB, 0, int(free * GIB)))


def fires(kind: str) -> list[Alert]:
    return list(Alert.objects.firing().filter(kind=kind))


class TestEvaluating:
    def test_an_alert_begins_and_ends_with_what_is_the_matter(
        self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluator = Evaluator()
        full(monkeypatch, free=1)
        evaluator.evaluate(now=AT)
        evaluator.evaluate(now=AT + 10)
        (alert,) = fires("disk")
        assert "1.1 GB are free" in alert.summary
        full(monkeypatch, free=50)
        evaluator.evaluate(now=AT + 20)
        assert fires("disk") == []
        assert Alert.objects.get().resolved_at == NOW + timedelta(seconds=20)

    def test_a_new_process_goes_on_with_what_fires(
        self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full(monkeypatch, free=1)
        Evaluator().evaluate(now=AT)
        Evaluator().evaluate(now=AT + 10)
        assert Alert.objects.count() == 1

    def test_an_engine_that_restarts_is_no_alert_one_that_stays_away_is(
        self, fake_engine: FakeEngine
    ) -> None:
        fake_engine.stop()
        evaluator = Evaluator()
        evaluator.evaluate(now=AT)
        evaluator.evaluate(now=AT + 20)
        assert fires("engine") == []
        evaluator.evaluate(now=AT + 31)
        assert "No chat is answered" in fires("engine")[0].summary

    def test_what_went_away_meanwhile_waits_anew(self, fake_engine: FakeEngine) -> None:
        evaluator = Evaluator()
        fake_engine.status = {"loop_age": 9999.0}
        evaluator.evaluate(now=AT)
        fake_engine.status = {}
        evaluator.evaluate(now=AT + 20)
        fake_engine.status = {"loop_age": 9999.0}
        evaluator.evaluate(now=AT + 40)
        assert fires("engine") == []

    def test_each_failed_job_is_an_alert_until_it_is_taken_up_again(
        self, fake_engine: FakeEngine
    ) -> None:
        for slug in ("a", "b"):
            Download.objects.create(
                repo_id=f"x/{slug}", slug=slug, commit="c", bytes_total=1,
                state=JobState.FAILED, finished_at=NOW, error="No space left.",
            )  # fmt: skip
        evaluator = Evaluator()
        evaluator.evaluate(now=AT + 60)
        assert len(fires("jobs")) == 2
        assert "No space left." in fires("jobs")[0].summary
        Download.objects.filter(slug="a").update(state=JobState.QUEUED)
        evaluator.evaluate(now=AT + 70)
        assert len(fires("jobs")) == 1
        evaluator.evaluate(now=AT + 25 * 3600)
        assert fires("jobs") == []

    @pytest.mark.parametrize(("failed", "expected"), [(1, 0), (5, 1)])
    def test_a_rate_of_errors_fires_not_an_error(
        self, fake_engine: FakeEngine, failed: int, expected: int
    ) -> None:
        for number in range(25):
            RequestRecord.objects.create(
                created_at=NOW, endpoint="x", duration=1, status=500 if number < failed else 200
            )
        Evaluator().evaluate(now=AT)
        assert len(fires("errors")) == expected

    def test_a_rule_that_is_off_fires_for_nothing(
        self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full(monkeypatch, free=1)
        Evaluator().evaluate(now=AT)
        Rule.objects.create(kind="disk", enabled=False)
        Evaluator().evaluate(now=AT + 10)
        assert fires("disk") == []

    def test_a_threshold_is_the_owners(
        self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full(monkeypatch, free=50)
        Rule.objects.create(kind="disk", threshold=60)
        Evaluator().evaluate(now=AT)
        assert len(fires("disk")) == 1

    def test_a_disk_that_is_away_stops_no_other_rule(
        self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(path: object) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(conditions.shutil, "disk_usage", gone)
        Evaluator().evaluate(now=AT)
        assert Alert.objects.count() == 0


class TestDelivering:
    def test_a_webhook_hears_of_the_beginning_and_the_end(
        self, webhook: Webhook, receiver: _Receiver
    ) -> None:
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        reconcile("disk", [], now=AT + 60)
        assert deliver_due() == 2
        told = [json.loads(body) for _, body in receiver.told]
        assert [each["event"] for each in told] == ["firing", "resolved"]
        assert told[0] == {
            "event": "firing",
            "kind": "disk",
            "subject": "",
            "summary": "Full.",
            "remedy": "Clear it.",
            "started_at": "2026-11-23T12:00:00+00:00",
            "resolved_at": None,
        }
        assert set(Delivery.objects.values_list("state", flat=True)) == {State.DELIVERED}

    def test_each_call_is_signed_over_its_time_and_body(
        self, webhook: Webhook, receiver: _Receiver
    ) -> None:
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        deliver_due()
        ((headers, body),) = receiver.told
        at, _, digest = headers["X-MLXHub-Signature"].partition(",")
        expected = hmac.new(
            webhook.secret.encode(), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256
        )
        assert digest == f"v1={expected.hexdigest()}"
        assert signature("other", body, at=1) != signature(webhook.secret, body, at=1)

    def test_what_is_not_heard_is_told_again_later_and_later_until_it_is_given_up(
        self, webhook: Webhook, receiver: _Receiver
    ) -> None:
        receiver.status = 500
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        waits = []
        for _ in range(MOST_ATTEMPTS):
            begun = datetime.now(UTC)
            Delivery.objects.update(next_try_at=begun)
            assert deliver_due() == 1
            over = datetime.now(UTC)
            assert deliver_due() == 0  # not before its time
            due = Delivery.objects.get().next_try_at
            waits.append((due - over, due - begun))
        delivery = Delivery.objects.get()
        assert delivery.state == State.GIVEN_UP
        assert "500" in delivery.error
        for seconds, (shortest, longest) in zip((15, 30, 60), waits, strict=False):
            assert shortest <= timedelta(seconds=seconds) <= longest

    def test_two_processes_tell_it_once(self, webhook: Webhook) -> None:
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        (delivery,) = Delivery.objects.all()
        now = datetime.now(UTC)
        assert [delivery.claim(now), delivery.claim(now)] == [True, False]

    def test_a_hub_that_others_reach_calls_nobody_in_its_own_network(
        self, webhook: Webhook, receiver: _Receiver, settings: Any
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"host": "0.0.0.0"})
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        deliver_due()
        assert receiver.told == []
        assert "own network" in Delivery.objects.get().error

    def test_old_deliveries_go(self, webhook: Webhook) -> None:
        reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
        Delivery.objects.update(created_at=datetime.now(UTC) - delivering.KEPT - timedelta(days=1))
        deliver_due()
        assert Delivery.objects.count() == 0


class TestPage:
    def test_shows_what_fires_what_fired_and_the_rules(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        reconcile("disk", [Matter("Nearly <b>full</b>.", "Clear it.")], now=AT)
        reconcile("jobs", [Matter("It failed.", "Look.", "x:1")], now=AT)
        reconcile("jobs", [], now=AT + 5)
        page = client.get(PAGE).content.decode()
        assert "Nearly &lt;b&gt;full&lt;/b&gt;." in page
        assert "It failed." in page
        assert all(kind.label in page for kind in KINDS)
        assert "1 alert<" in client.get("/system/status/", headers=HTMX).content.decode()

    def test_leads_to_the_job_that_failed(self, client: Client, fake_engine: FakeEngine) -> None:
        run = make_run("failed")
        reconcile(
            "jobs", [Matter("It failed.", "Look.", f"inference.benchmarkrun:{run.pk}")], now=AT
        )
        address = f'href="/benchmarks/{run.pk}/"'
        assert address in client.get(PAGE).content.decode()
        run.delete()
        assert address not in client.get(PAGE).content.decode()

    def test_leads_to_whatever_kind_of_job_failed(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        failed = {"state": JobState.FAILED, "finished_at": NOW, "error": "No."}
        dataset = Dataset.objects.create(slug="poems", name="Poems")
        download = Download.objects.create(
            repo_id="x/a", slug="a", commit="c", bytes_total=1, **failed
        )
        publication = Publication.objects.create(subject="a", repo_id="x/a", **failed)
        jobs: dict[Job, str] = {
            DatasetJob.objects.create(kind="import", dataset=dataset, **failed): "/data/poems/",
            download: f"/downloads/#download-{download.pk}",
            publication: f"/publish/#publication-{publication.pk}",
        }
        Evaluator().evaluate(now=AT + 60)
        page = client.get(PAGE).content.decode()
        for job, address in jobs.items():
            (alert,) = Alert.objects.filter(subject=f"{job._meta.label_lower}:{job.pk}")
            assert alert.page == address
            assert f'href="{address}">Open the page' in page
        assert "import of Poems" in page

    def test_every_kind_of_job_has_a_page(self) -> None:
        jobs = [model for model in apps.get_models() if issubclass(model, Job)]
        kinds = [model for model in jobs if ".tests." not in model.__module__]
        assert len(kinds) >= 7
        assert [kind for kind in kinds if not hasattr(kind, "get_absolute_url")] == []

    @pytest.mark.parametrize("kind", [kind.key for kind in KINDS if kind.key != "jobs"])
    def test_leads_to_where_a_rule_is_looked_into(self, client: Client, kind: str) -> None:
        reconcile(kind, [Matter("Bad.", "Look.")], now=AT)
        page = Alert.objects.get().page
        if kind == "certificate":  # it is a file
            assert page == ""
        else:
            assert client.get(page).status_code == 200

    def test_of_a_rule_that_is_no_more_leads_nowhere(self) -> None:
        assert Alert(kind="gone").page == ""

    def test_changes_a_rule(self, client: Client) -> None:
        client.post(f"{PAGE}rules/disk/", {"enabled": "on", "threshold": "12.5"})
        client.post(f"{PAGE}rules/engine/", {"threshold": "7"})
        assert (Rule.objects.get(pk="disk").enabled, Rule.objects.get(pk="disk").threshold) == (
            True,
            12.5,
        )
        assert (Rule.objects.get(pk="engine").enabled, Rule.objects.get(pk="engine").threshold) == (
            False,
            None,
        )
        assert "Less than 12.5 GiB are free." in client.get(PAGE).content.decode()
        assert AuditEntry.objects.filter(action="alert.rule").count() == 2

    @pytest.mark.parametrize("threshold", ["-1", "nan", "x", "1e9"])
    def test_refuses_a_threshold_that_makes_no_sense(self, client: Client, threshold: str) -> None:
        client.post(f"{PAGE}rules/jobs/", {"enabled": "on", "threshold": threshold})
        assert Rule.objects.count() == 0

    def test_knows_no_other_rules(self, client: Client) -> None:
        assert client.post(f"{PAGE}rules/nonsense/").status_code == 404
        with pytest.raises(KeyError):
            kind_of("nonsense")

    def test_adds_a_webhook_and_shows_its_secret_once(self, client: Client) -> None:
        page = client.post(f"{PAGE}webhooks/", {"url": "http://127.0.0.1:9/hook"}).content.decode()
        secret = Webhook.objects.get().secret
        assert secret in page
        assert secret not in client.get(PAGE).content.decode()
        entry = AuditEntry.objects.get(action="webhook.add")
        assert secret not in str(entry.detail)

    @pytest.mark.parametrize(
        "url", ["", "ftp://x/", "javascript:alert(1)", "http://169.254.169.254/latest/meta-data/"]
    )
    def test_refuses_an_address_that_the_hub_must_not_call(self, client: Client, url: str) -> None:
        page = client.post(f"{PAGE}webhooks/", {"url": url}).content.decode()
        assert "field__error" in page
        assert not Webhook.objects.exists()

    def test_tests_a_webhook_at_once(
        self, client: Client, webhook: Webhook, receiver: _Receiver
    ) -> None:
        page = client.post(f"{PAGE}webhooks/{webhook.pk}/test/", follow=True).content.decode()
        assert "heard the test" in page
        assert json.loads(receiver.told[0][1])["event"] == "test"
        receiver.status = 404
        page = client.post(f"{PAGE}webhooks/{webhook.pk}/test/", follow=True).content.decode()
        assert page.count("The test did not arrive. 127.0.0.1 answered 404.") == 1
        assert deliver_due() == 0

    def test_keeps_in_the_audit_log_whom_it_tested_and_how_that_went(
        self, client: Client, webhook: Webhook, receiver: _Receiver
    ) -> None:
        client.post(f"{PAGE}webhooks/{webhook.pk}/test/")
        receiver.status = 404
        client.post(f"{PAGE}webhooks/{webhook.pk}/test/")
        heard, not_heard = AuditEntry.objects.filter(action="webhook.test").order_by("pk")
        assert (heard.outcome, heard.subject, heard.detail) == ("done", webhook.host, {})
        assert not_heard.outcome == "failed"
        assert not_heard.detail == {"why": "127.0.0.1 answered 404."}
        for entry in (heard, not_heard):
            told = f"{entry.subject} {entry.detail}"
            assert webhook.secret not in told
            assert "/hook" not in told

    def test_removes_a_webhook(self, client: Client, webhook: Webhook) -> None:
        client.post(f"{PAGE}webhooks/{webhook.pk}/remove/")
        assert not Webhook.objects.exists()
        entry = AuditEntry.objects.get(action="webhook.remove")
        assert webhook.url not in entry.subject  # its path may be what its receiver trusts
        assert entry.subject == webhook.host

    def test_reads_need_no_post_and_changes_do(self, client: Client, webhook: Webhook) -> None:
        assert client.get(f"{PAGE}webhooks/{webhook.pk}/remove/").status_code == 405
        assert client.get(f"{PAGE}rules/disk/").status_code == 405


def test_alerts_over_rest(client: Client) -> None:
    reconcile("disk", [Matter("Full.", "Clear it.")], now=AT)
    reconcile("memory", [Matter("Tight.", "Unload.")], now=AT)
    reconcile("memory", [], now=AT)
    firing = client.get("/api/system/alerts").json()["alerts"]
    assert [(each["kind"], each["page"]) for each in firing] == [("disk", "/models/disk/")]
    assert len(client.get("/api/system/alerts?firing=false").json()["alerts"]) == 2


class TestRemedies:
    """Each names a command, for whoever is not at a browser."""

    def test_of_a_full_disk(self, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        full(monkeypatch, free=1)
        (matter,) = kind_of("disk").condition(AT, 5)
        assert "`mlx-hub disk`" in matter.remedy

    def test_of_an_engine_that_is_away(self, fake_engine: FakeEngine) -> None:
        fake_engine.stop()
        (matter,) = kind_of("engine").condition(AT, 0)
        assert "`mlx-hub doctor`" in matter.remedy

    def test_of_a_job_that_failed(self, fake_engine: FakeEngine) -> None:
        make_run("failed")
        (matter,) = kind_of("jobs").condition(datetime.now(UTC).timestamp(), 24)
        assert "`mlx-hub jobs --all`" in matter.remedy
