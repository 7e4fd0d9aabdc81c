"""Every request's id and line."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

from apps.inference.engine.protocol import Generate
from apps.observability.ids import current_ids
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.django_db
HEADER = "X-Request-ID"


def test_each_answer_has_an_id_of_its_own(client: Client) -> None:
    first, second = (client.get("/healthz/live").headers[HEADER] for _ in range(2))
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize("path", ["/no/such/page", "/v1/no/such/call", "/api/usage?first=x"])
def test_an_error_has_one_too(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code >= 400
    assert HEADER in response.headers


def test_a_refused_host_has_one_too(client: Client) -> None:
    response = client.get("/", headers={"Host": "evil.example"})
    assert response.status_code == 403
    assert HEADER in response.headers


def test_a_callers_id_is_kept_where_it_is_safe(client: Client) -> None:
    assert client.get("/healthz/live", headers={HEADER: "mine-1"}).headers[HEADER] == "mine-1"
    assert client.get("/healthz/live", headers={HEADER: "a b"}).headers[HEADER] != "a b"


def test_what_changes_something_or_fails_leaves_a_line(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="apps.system.requests"):
        client.get("/healthz/live")
        client.get("/no/such/page?token=secret")
        client.post("/system/cache/evict/")
    lines = [record.getMessage() for record in caplog.records]
    assert [text.split(" in ")[0] for text in lines if "evict" in text or "such" in text] == [
        "GET '/no/such/page' 404",
        "POST '/system/cache/evict/' 302",
    ]
    assert not any("healthz" in text or "secret" in text for text in lines)


def test_a_path_cannot_forge_a_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="apps.system.requests"):
        client.get("/no%0AERROR forged")
    assert "\n" not in caplog.records[-1].getMessage()


def test_the_engine_learns_whose_work_it_is(
    client: Client, fake_engine: FakeEngine, tiny: object
) -> None:
    response = client.post(
        "/v1/chat/completions",
        {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]},
        content_type="application/json",
        headers={HEADER: "trace-7"},
    )
    assert response.headers[HEADER] == "trace-7"
    assert fake_engine.calls_of(Generate)[0].request.ids == {"request_id": "trace-7"}


def test_nothing_is_left_of_a_request(client: Client) -> None:
    client.get("/healthz/live")
    assert current_ids() == {}
