"""What answers and failures of a hub mean to a command."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from mlxhub_site.commands.hub.client import HubClient, segment
from mlxhub_site.commands.outcome import (
    BadUsage,
    CommandFailed,
    ExitCode,
    NotFound,
    Refused,
    Unreachable,
)

Handler = Callable[[httpx2.Request], httpx2.Response]


def client(handler: Handler) -> HubClient:
    return HubClient(httpx2.MockTransport(handler), url="https://hub:1", key="mlx-key")


def refusing(status: int, message: str = "Because.") -> Handler:
    return lambda request: httpx2.Response(status, json={"error": {"message": message}})


def test_the_key_and_the_query_go_along() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer mlx-key"
        return httpx2.Response(200, json={"asked": str(request.url)})

    with client(answer) as hub:
        assert hub.get("/api/x", a=1, b=None) == {"asked": "https://hub:1/api/x?a=1"}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, BadUsage, 2), (401, Refused, 5), (403, Refused, 5), (404, NotFound, 3),
        (409, Refused, 5), (422, BadUsage, 2), (429, Refused, 5), (500, CommandFailed, 1),
        (503, Unreachable, 4), (507, Refused, 5),
    ],
)  # fmt: skip
def test_a_refusal_keeps_its_words_and_gets_an_exit_status(
    status: int, kind: type[CommandFailed], code: int
) -> None:
    with client(refusing(status)) as hub, pytest.raises(kind, match="Because") as caught:
        hub.post("/api/x", {})
    assert caught.value.exit_code == ExitCode(code)


def test_health_is_read_where_it_is_bad() -> None:
    with client(lambda request: httpx2.Response(503, json={"status": "down"})) as hub:
        assert hub.health() == {"status": "down"}


@pytest.mark.parametrize("answer", [b"<html>Bad gateway</html>", b"", b"[1"])
@pytest.mark.parametrize("status", [200, 404, 502])
def test_something_else_than_a_hub_is_told_as_such(status: int, answer: bytes) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=answer)

    with client(handler) as hub:
        if status == 200 and not answer:
            assert hub.get("/api/x") is None
            return
        with pytest.raises(Unreachable, match=r"not as a hub does|404|502"):
            hub.get("/api/x")


def test_nobody_there_is_told_with_the_address() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with (
        client(handler) as hub,
        pytest.raises(Unreachable, match="No hub answers at https://hub:1"),
    ):
        hub.get("/api/x")


def test_a_redirect_is_not_followed_with_the_key() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        assert request.url.host == "hub"
        return httpx2.Response(302, headers={"location": "https://elsewhere/"})

    with client(handler) as hub, pytest.raises(Unreachable):
        hub.get("/api/x")


def test_events_are_read_with_what_is_said_beside_them() -> None:
    stream = b': prefill 3/9\n\ndata: {"n": 1}\n\ndata: {"n": 2}\n\ndata: [DONE]\n\n'
    said: list[str] = []
    with (
        client(lambda request: httpx2.Response(200, content=stream)) as hub,
        hub.events("/v1/x", {}, on_comment=said.append) as events,
    ):
        assert list(events) == [{"n": 1}, {"n": 2}]
    assert said == ["prefill 3/9"]


def test_an_error_in_the_middle_of_a_stream_ends_it() -> None:
    stream = b'data: {"n": 1}\n\ndata: {"error": {"message": "Out of memory."}}\n\n'
    with (
        client(lambda request: httpx2.Response(200, content=stream)) as hub,
        pytest.raises(CommandFailed, match="Out of memory"),
        hub.events("/v1/x", {}) as events,
    ):
        list(events)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_can_not_lead_elsewhere(name: str) -> None:
    with pytest.raises(BadUsage):
        segment(name)
    assert segment("a/b?c#d") == "a%2Fb%3Fc%23d"


@pytest.mark.parametrize("body", [{"heat": float("nan")}, {"name": "\udcff"}])
def test_what_json_can_not_say_is_wrong_use(body: dict[str, object]) -> None:
    with client(refusing(500)) as hub, pytest.raises(BadUsage):
        hub.post("/api/x", body)


def test_a_refusal_names_commands_and_no_routes() -> None:
    answer = refusing(404, "There is no job 9. GET /api/training/jobs lists them.")
    with client(answer) as hub, pytest.raises(NotFound, match="`mlx-hub jobs` lists them"):
        hub.get("/api/training/jobs/9")


def test_a_hub_that_is_watched_may_be_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter(range(3))

    def handler(request: httpx2.Request) -> httpx2.Response:
        if next(tries) < 2:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, json={"state": "done"})

    monkeypatch.setattr("mlxhub_site.commands.hub.client.RETRY_SECONDS", 0.0)
    with HubClient(httpx2.MockTransport(handler), is_remote=True) as hub:
        assert hub.look("/api/x") == {"state": "done"}


def test_this_machines_own_hub_is_not_waited_for() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with client(handler) as hub, pytest.raises(Unreachable):
        hub.look("/api/x")
