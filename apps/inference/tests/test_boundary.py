"""Foreign hosts and foreign pages are refused before any route runs."""

from __future__ import annotations

import pytest

from apps.inference.engine.protocol import EvictCache, Generate
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def _cast(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    pass


def chat(call: Caller, **headers: str) -> Answer:
    return call("POST", "/v1/chat/completions", CHAT, **{"Host": "localhost:8080"} | headers)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_a_program_on_this_machine_passes(call: Caller, host: str) -> None:
    assert chat(call, Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:8080", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_the_hubs_own_pages_pass(call: Caller, headers: dict[str, str]) -> None:
    assert chat(call, **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost:8080"},
        {"Origin": "null"},
    ],
)
def test_a_foreign_page_is_refused(
    call: Caller, fake_engine: FakeEngine, headers: dict[str, str]
) -> None:
    answer = chat(call, **headers)

    assert answer.status == 403
    assert answer.error["code"] == "cross_origin_request"
    assert not fake_engine.calls_of(Generate)


def test_a_foreign_page_cannot_clear_the_cache(call: Caller, fake_engine: FakeEngine) -> None:
    answer = call("DELETE", "/admin/cache/prompts", Origin="https://evil.example")

    assert answer.status == 403
    assert not fake_engine.calls_of(EvictCache)


def test_a_foreign_page_may_not_read_but_a_link_to_the_hub_works(call: Caller) -> None:
    answer = call("GET", "/v1/models", Origin="https://evil.example")

    assert answer.status == 200  # the browser keeps it from the page:
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_is_given_nothing(call: Caller) -> None:
    answer = call(
        "OPTIONS",
        "/v1/chat/completions",
        Origin="https://evil.example",
        Access_Control_Request_Method="POST",
    )

    assert answer.status == 403
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", ["/v1/models", "/admin/health", "/v1/nothing"])
def test_a_foreign_host_name_is_refused(call: Caller, path: str) -> None:
    answer = call("GET", path, Host="evil.example")

    assert answer.status == 403
    assert answer.error["code"] == "host_not_allowed"
    assert "MLXHUB_HOST" in answer.error["message"]
