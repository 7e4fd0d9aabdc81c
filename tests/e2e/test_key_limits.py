"""Limits are exact over several web processes, and no request is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import httpx
import pytest

from apps.inference.engine.protocol import Generate
from tests.engine_scripts import Gate, reply
from tests.fake_engine import FakeEngine
from tests.hub_process import until
from tests.web_workers import WebWorkers, web_workers

KEYS = {
    "ada": {"requests_per_minute": 40},
    "grace": {"requests_per_minute": 25, "tokens_per_minute": 100_000},
    "edsger": {"tokens_per_minute": 400},
    "barbara": {"concurrency": 3},
    "alan": {"requests_per_minute": 100},
    "niklaus": {"concurrency": 12},
}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as engine:
        yield engine


@pytest.fixture(scope="module")
def workers(engine: FakeEngine) -> Iterator[WebWorkers]:
    with web_workers(engine.home, count=2, keys=KEYS) as workers:
        yield workers


def post(workers: WebWorkers, name: str, number: int) -> httpx.Response:
    """A request with the key of this name, to each process in turn."""
    return httpx.post(
        f"{workers.urls[number % len(workers.urls)]}/v1/chat/completions",
        json=CHAT | {"stream": number % 3 == 0},
        headers={"Authorization": f"Bearer {workers.keys[name]}"},
        timeout=60,
    )


def ask(workers: WebWorkers, **asked: int) -> list[tuple[str, httpx.Response]]:
    """So many requests with each key, all at once."""
    # Not the other way round: the keys have to be in each other's way.
    each = [(name, n) for n in range(max(asked.values())) for name in asked if n < asked[name]]
    with ThreadPoolExecutor(24) as threads:
        answers = threads.map(lambda one: post(workers, *one), each)
        return [(name, answer) for (name, _), answer in zip(each, answers, strict=True)]


def counted(answers: list[tuple[str, httpx.Response]]) -> Counter[tuple[str, int]]:
    return Counter((name, answer.status_code) for name, answer in answers)


def test_two_keys_get_exactly_what_they_may_and_every_request_is_recorded(workers: WebWorkers):
    answers = ask(workers, ada=90, grace=60)

    expected = {("ada", 200): 40, ("ada", 429): 50, ("grace", 200): 25, ("grace", 429): 35}
    assert counted(answers) == expected
    assert all("Retry-After" in each.headers for _, each in answers if each.status_code == 429)

    def recorded() -> Any:
        rows = [(name, status) for name, status, *_ in workers.records() if name]
        return rows if len(rows) == len(answers) else None

    assert Counter(until(recorded)) == expected


def test_the_tokens_of_a_minute_are_never_exceeded(workers: WebWorkers):
    answers = counted(ask(workers, edsger=60))

    assert answers[("edsger", 200)] + answers[("edsger", 429)] == 60
    # Each takes 14; up to its end it counts as what its size makes of it, a little more.
    took = answers[("edsger", 200)] * 14
    assert 250 < took <= 400


def test_no_more_requests_than_places_are_under_way(engine: FakeEngine, workers: WebWorkers):
    gate = Gate()
    engine.always(Generate, *reply("A", gate, "B"))
    before = len(engine.calls_of(Generate))
    with ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(post, workers, "barbara", number) for number in range(12)]
        refused = islice((each for each in as_completed(asked) if each.result().is_error), 9)
        assert [each.result().status_code for each in refused] == [429] * 9
        assert len(engine.calls_of(Generate)) - before == 3
        gate.open()
        assert Counter(each.result().status_code for each in asked) == {200: 3, 429: 9}

    assert until(lambda: post(workers, "barbara", 0).status_code == 200)


def test_under_load_every_stored_response_stays_with_its_key(workers: WebWorkers):
    def stored(name: str, number: int) -> str:
        answer = respond(workers, name, number, "POST", "", {"model": "tiny", "input": "Hi"})
        assert answer.status_code == 200
        return str(answer.json()["id"])

    asked = [(name, number) for number in range(12) for name in ("alan", "niklaus")]
    with ThreadPoolExecutor(12) as threads:
        made = list(threads.map(lambda one: stored(*one), asked))
        assert len(set(made)) == len(asked)

        def seen(one: tuple[tuple[str, int], str]) -> dict[str, int]:
            (_, number), response = one
            return {
                name: respond(workers, name, number + 1, "GET", f"/{response}").status_code
                for name in ("alan", "niklaus")
            }

        found = list(threads.map(seen, zip(asked, made, strict=True)))
    for (owner, _), statuses in zip(asked, found, strict=True):
        assert statuses == {"alan": 404, "niklaus": 404} | {owner: 200}


def respond(
    workers: WebWorkers, name: str, number: int, method: str, path: str, body: Any = None
) -> httpx.Response:
    """A call of the Responses API with the key of this name, to each process in turn."""
    return httpx.request(
        method,
        f"{workers.urls[number % len(workers.urls)]}/v1/responses{path}",
        json=body,
        headers={"Authorization": f"Bearer {workers.keys[name]}"},
        timeout=60,
    )
