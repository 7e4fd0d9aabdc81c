"""Visitors and a hub that is not there."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from mlxhub_site.soak import kinds
from mlxhub_site.soak.hub import SoakedHub
from mlxhub_site.soak.kinds import Failed, Kind, Refused, Visitor
from mlxhub_site.soak.traffic import SHOWN_ERRORS, Tally, traffic

HUB = SoakedHub(Path("nowhere"), 1, 1)
WORD = 'data: {"choices": [{"delta": {"content": "Sand"}}]}'
BUSY = httpx2.Response(429, headers={"retry-after": "5"})

Answer = Callable[[httpx2.Request], httpx2.Response]


def stream(*lines: str) -> httpx2.Response:
    return httpx2.Response(200, text="".join(f"{line}\n\n" for line in lines))


def visitor(answer: Answer) -> Visitor:
    http = httpx2.Client(transport=httpx2.MockTransport(answer), base_url=HUB.url)
    return Visitor(HUB, http, random.Random(0))


def tally_of(answer: Answer, *, visits: int) -> Tally:
    """Of a page visitor, after so many requests."""
    seen, enough = [], threading.Event()

    def counted(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if len(seen) >= visits:
            enough.set()
        return answer(request)

    kind = Kind("pages", kinds.pages, 0.0)
    with traffic(HUB, [kind], 0, httpx2.MockTransport(counted)) as tallies:
        assert enough.wait(60)
    return tallies["pages"]


def test_an_answer_that_came_to_its_end_has_a_wait_for_its_first_word() -> None:
    wait = kinds.chat(visitor(lambda _: stream(WORD, "data: [DONE]")))
    assert wait is not None
    assert wait >= 0


def test_an_answer_that_stops_in_the_middle_counts_as_broken() -> None:
    with pytest.raises(AssertionError, match="it ended with"):
        kinds.chat(visitor(lambda _: stream(WORD)))


@pytest.mark.parametrize("visit", [kinds.chat, kinds.leave])
def test_an_error_in_the_middle_of_an_answer_is_a_failure(visit: kinds.Visit) -> None:
    told = 'data: {"error": {"message": "The engine ended."}}'
    with pytest.raises(Failed, match="The engine ended") as failure:
        visit(visitor(lambda _: stream(WORD, told)))
    assert failure.value.status == 200


def test_an_error_status_is_a_failure_with_its_text() -> None:
    with pytest.raises(Failed, match="no such model") as failure:
        kinds.whole(visitor(lambda _: httpx2.Response(404, text="no such model")))
    assert failure.value.status == 404


def test_a_refusal_says_when_to_come_back() -> None:
    with pytest.raises(Refused):
        kinds.chat(visitor(lambda _: BUSY))
    with pytest.raises(AssertionError, match="when to come back"):
        kinds.chat(visitor(lambda _: httpx2.Response(503)))


def test_a_chat_on_the_page_is_followed_and_deleted() -> None:
    called = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        called.append(f"{request.method} {request.url.path}")
        return httpx2.Response(200, text=page)

    page = (
        '<input name="csrfmiddlewaretoken" value="t"><option value="7" selected>'
        '<div data-events="/playground/m/3/events/">'
    )
    kinds.conversation(visitor(answer))
    assert called == [
        "GET /playground/",
        "POST /playground/start/",
        "GET /playground/m/3/events/",
        "POST /playground/start/delete/",
    ]


def test_visits_are_counted() -> None:
    tally = tally_of(lambda _: httpx2.Response(200), visits=3)
    assert tally.done >= 3
    assert (tally.refused, tally.errors) == (0, 0)


def test_refusals_are_no_errors() -> None:
    tally = tally_of(lambda _: BUSY, visits=1)
    assert (tally.done, tally.refused, tally.errors) == (0, 1, 0)


def test_every_failed_visit_counts_and_the_first_ones_are_shown() -> None:
    def broken(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody listens", request=request)

    tally = tally_of(broken, visits=SHOWN_ERRORS + 2)
    assert tally.errors >= SHOWN_ERRORS + 2
    assert tally.first_errors == ["ConnectError: nobody listens"] * SHOWN_ERRORS


def test_nobody_waits_for_visitors_where_the_soak_was_broken_off() -> None:
    arrived, go = threading.Event(), threading.Event()

    def stuck(request: httpx2.Request) -> httpx2.Response:
        arrived.set()
        go.wait(60)
        return httpx2.Response(200)

    kind = Kind("pages", kinds.pages, 0.0)
    transport = httpx2.MockTransport(stuck)
    with pytest.raises(KeyboardInterrupt), traffic(HUB, [kind], 0, transport):  # noqa: PT012
        assert arrived.wait(60)
        raise KeyboardInterrupt
    go.set()
