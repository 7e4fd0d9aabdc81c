"""A web process that gives way to another, and a hub that is stopped, cut nothing off."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.hub_process import PATIENCE, STARTER, HubProcess, running_hub, until

STREAMS = 8


@pytest.fixture(scope="module")
def only_hub() -> Iterator[HubProcess]:
    """A hub that gives answers little time once it is stopped."""
    with running_hub({"MLXHUB_DRAIN_SECONDS": "0.5"}) as running:
        yield running


@pytest.fixture
def hub(only_hub: HubProcess) -> HubProcess:
    """It, started again where a test stopped it."""
    if not only_hub.runs:
        only_hub.start()
    return only_hub


def models_are_listed(hub: HubProcess) -> bool:
    answer = httpx.get(f"{hub.url}/v1/models", timeout=PATIENCE, trust_env=False)
    return answer.status_code == 200


def web_process(hub: HubProcess) -> int:
    return int((hub.home / "run" / "web.pid").read_text())


def stream(hub: HubProcess, tokens: int, begun: list[int]) -> list[dict]:
    """The events of an answer; ``begun`` grows with its first one."""
    body = {
        "model": STARTER,
        "messages": [{"role": "user", "content": "Tell me a long story."}],
        "max_tokens": tokens,
        "stream": True,
    }
    url = f"{hub.url}/v1/chat/completions"
    events: list[dict] = []
    with httpx.stream("POST", url, json=body, timeout=120, trust_env=False) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 1:
                    begun.append(1)
    return events


@contextmanager
def streams(hub: HubProcess, tokens: int) -> Iterator[list[Future[list[dict]]]]:
    """Answers of which each has begun."""
    begun: list[int] = []
    with ThreadPoolExecutor(STREAMS) as pool:
        asked = [pool.submit(stream, hub, tokens, begun) for _ in range(STREAMS)]
        until(lambda: len(begun) == STREAMS)
        yield asked


def finish_of(events: list[dict]) -> str | None:
    choices = [event["choices"][0] for event in events if event.get("choices")]
    return next(
        (each["finish_reason"] for each in reversed(choices) if each["finish_reason"]), None
    )


def test_a_new_web_process_takes_over_while_eight_answers_are_streamed(hub: HubProcess) -> None:
    old = web_process(hub)
    with streams(hub, 60) as asked:
        os.kill(hub.pid, signal.SIGUSR1)
        # Nobody who calls meanwhile is turned away.
        while web_process(hub) == old:
            assert models_are_listed(hub)
        # Some stories are shorter than the limit.
        assert {finish_of(each.result()) for each in asked} <= {"length", "stop"}
    until(lambda: not psutil.pid_exists(old))
    assert models_are_listed(hub)


def test_an_answer_that_the_stop_does_not_wait_for_says_why(hub: HubProcess) -> None:
    with streams(hub, 2000) as asked:
        assert hub.stop() == 0
        for each in asked:
            assert each.result()[-1]["error"]["code"] == "shutting_down"
