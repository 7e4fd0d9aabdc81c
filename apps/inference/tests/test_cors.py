"""Pages of the origins that the owner named may call /v1; others may not, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

APP = "https://app.example"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def _cast(tiny: LocalModel, fake_engine: FakeEngine, settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"cors_origins": (APP,)})


def preflight(call: Caller, path: str, origin: str, **headers: str) -> Answer:
    return call("OPTIONS", path, Origin=origin, Access_Control_Request_Method="POST", **headers)


def cors_headers(answer: Answer) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.lower().startswith("access-control")}


def test_a_named_page_calls_and_reads(call: Caller) -> None:
    answer = call("POST", "/v1/chat/completions", CHAT, Origin=APP, Sec_Fetch_Site="cross-site")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert "x-ratelimit-remaining-requests" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_it_reads_errors_too(call: Caller) -> None:
    answer = call("POST", "/v1/chat/completions", CHAT | {"model": "none"}, Origin=APP)
    assert answer.status == 404
    assert answer.headers["Access-Control-Allow-Origin"] == APP


def test_its_preflight_is_granted_without_a_key(call: Caller, settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})
    wanted = "authorization, content-type, x-stainless-lang"
    answer = preflight(
        call,
        "/v1/chat/completions",
        APP,
        Access_Control_Request_Headers=wanted,
        Access_Control_Request_Private_Network="true",
    )
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == wanted
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example"])
def test_another_page_gets_nothing(call: Caller, origin: str) -> None:
    assert preflight(call, "/v1/chat/completions", origin).status == 403
    answer = call("POST", "/v1/chat/completions", CHAT, Origin=origin)
    assert answer.status == 403
    assert not cors_headers(answer)


@pytest.mark.parametrize("path", ["/admin/cache/prompts", "/api/benchmarks"])
def test_the_management_apis_are_not_for_pages(call: Caller, path: str) -> None:
    answer = preflight(call, path, APP)
    assert answer.status == 403
    assert not cors_headers(answer)
