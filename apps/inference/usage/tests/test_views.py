"""The Usage page, its exports and /api/usage."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.inference.keys.services import create_key
from apps.inference.tests.conftest import Caller
from apps.inference.usage.charts import FIGURES
from apps.inference.usage.tests.conftest import make_record

pytestmark = pytest.mark.django_db

HOME = reverse("usage:home")


def page_of(client: Client, **asked: Any) -> str:
    response = client.get(HOME, asked)
    assert response.status_code == 200
    return response.content.decode()


class TestThePage:
    def test_says_what_it_will_show_where_nothing_was_asked(self, client: Client) -> None:
        assert "No request has come to /v1 yet." in page_of(client)

    def test_sums_up_and_lists_what_was_asked(self, client: Client) -> None:
        key, _ = create_key(name="ada")
        make_record(key=key, prompt_tokens=1500, cached_tokens=600)
        make_record(status=429, error_code="rate_limit_exceeded", prompt_tokens=0, cached_tokens=0)
        page = page_of(client)
        assert "1,500" in page
        assert "40% from the cache" in page
        assert "1 failed or refused" in page
        assert "rate_limit_exceeded" in page
        assert "ada" in page

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ({"key": "none"}, {"plain"}),
            ({"model": "other"}, {"other"}),
            ({"model": "tiny:pirate"}, {"tiny:pirate"}),
            ({"status": "refused"}, {"refused"}),
            ({"status": "failed"}, {"failed"}),
            ({"status": "left"}, {"left"}),
            ({"first": "2026-01-05", "last": "2026-01-05"}, {"old"}),
        ],
    )
    def test_filters(self, client: Client, asked: dict[str, str], shown: set[str]) -> None:
        key, _ = create_key(name="ada")
        make_record(model="plain")
        make_record(key=key, model="other")
        make_record(key=key, model="tiny", adapter="pirate")
        make_record(key=key, model="refused", status=404)
        make_record(key=key, model="failed", status=503)
        make_record(key=key, model="left", client_left=True)
        make_record(key=key, model="old", created_at=datetime(2026, 1, 5, 23, 59, tzinfo=UTC))
        response = client.get(HOME, asked)
        assert {record.model_name for record in response.context["page"]} == shown

    def test_filters_by_key(self, client: Client) -> None:
        key, _ = create_key(name="ada")
        mine = make_record(key=key)
        make_record()
        assert list(client.get(HOME, {"key": key.public_id}).context["page"]) == [mine]

    def test_shows_the_last_thirty_days_where_none_are_named(self, client: Client) -> None:
        make_record(created_at=timezone.now() - timedelta(days=31))
        assert "No request fits." in page_of(client)

    def test_turns_its_pages_and_keeps_the_filter(self, client: Client) -> None:
        for _ in range(51):
            make_record()
        page = page_of(client, model="tiny", page=2)
        assert "Page 2 of 2" in page
        assert "?model=tiny&amp;page=1" in page

    @pytest.mark.parametrize("figure", [figure.key for figure in FIGURES])
    def test_draws_each_figure(self, client: Client, figure: str) -> None:
        make_record()
        course = client.get(HOME, {"figure": figure}).context["course"]
        assert course.figure.key == figure
        times, *lines = course.plotted()["data"]
        assert len(times) == 30
        assert all(len(line) == 30 for line in lines)

    def test_few_days_are_drawn_by_the_hour(self, client: Client) -> None:
        make_record(created_at=datetime(2026, 1, 5, 13, 20, tzinfo=UTC))
        asked = {"first": "2026-01-05", "last": "2026-01-05", "figure": "requests"}
        course = client.get(HOME, asked).context["course"]
        assert [row["requests"] for row in course.rows] == [0] * 13 + [1] + [0] * 10

    @pytest.mark.parametrize(
        "asked",
        [
            {"key": "nonsense"},
            {"first": "yesterday"},
            {"first": "0001-01-01"},
            {"last": "9999-12-31"},
            {"status": "odd"},
            {"first": "2026-02-01", "last": "2026-01-01"},
        ],
    )
    def test_a_filter_that_makes_no_sense_is_told_beside_it(
        self, client: Client, asked: dict[str, str]
    ) -> None:
        make_record()
        assert "field__error" in page_of(client, **asked)

    def test_survives_other_addresses(self, client: Client) -> None:
        make_record()
        assert "Page" not in page_of(client, figure="nonsense", page="nonsense")


class TestExports:
    @pytest.fixture(autouse=True)
    def _records(self) -> None:
        make_record(created_at=timezone.now() - timedelta(minutes=1))
        make_record(key=create_key(name="=1+1")[0], model="other")

    def test_csv_has_a_line_for_each_request(self, call: Caller) -> None:
        answer = call("GET", reverse("usage:export", args=["csv"]))
        assert answer.headers["Content-Disposition"] == 'attachment; filename="usage.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert [row["model"] for row in rows] == ["other", "tiny"]
        assert rows[1]["prompt_tokens"] == "100"
        assert rows[1]["key"] == ""

    def test_a_spreadsheet_runs_nothing_of_it(self, call: Caller) -> None:
        rows = call("GET", reverse("usage:export", args=["csv"])).content.decode()
        assert ",'=1+1," in rows

    def test_json_is_one_array(self, call: Caller) -> None:
        answer = call("GET", reverse("usage:export", args=["json"]))
        assert [row["key"] for row in json.loads(answer.content)] == ["=1+1", None]

    def test_the_filter_holds(self, call: Caller) -> None:
        address = reverse("usage:export", args=["json"])
        assert len(call("GET", f"{address}?model=tiny").json) == 1
        assert call("GET", f"{address}?model=nothing").json == []
        assert call("GET", f"{address}?first=yesterday").status == 400


class TestTheApi:
    def test_tells_totals_their_course_and_the_requests(self, call: Caller) -> None:
        make_record()
        make_record(status=500)
        usage = call("GET", "/api/usage?limit=1").json
        assert usage["totals"]["requests"] == usage["total_records"] == 2
        assert usage["totals"]["failed"] == 1
        assert usage["totals"]["tokens_per_second"] == 25.0
        assert [period["requests"] for period in usage["periods"]] == [2]
        assert len(usage["records"]) == 1

    def test_filters_and_turns_pages(self, call: Caller) -> None:
        make_record()
        make_record(model="other")
        assert call("GET", "/api/usage?model=other").json["total_records"] == 1
        assert call("GET", "/api/usage?offset=2").json["records"] == []

    @pytest.mark.parametrize(
        ("query", "param"),
        [("key=nonsense", "key"), ("first=yesterday", "first"), ("limit=-1", "limit")],
    )
    def test_a_filter_that_makes_no_sense_is_a_400(
        self, call: Caller, query: str, param: str
    ) -> None:
        answer = call("GET", f"/api/usage?{query}")
        assert answer.status == 400
        assert answer.error["param"] == param
