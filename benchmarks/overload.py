"""Ten times what the hub can do: how fast it refuses, and what those let in notice of it."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apps.inference.benchmarks.measuring.errors import ServerRefused
from apps.inference.benchmarks.measuring.prompts import story
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure
from benchmarks.flood import Flood, flood
from benchmarks.hub import benchmark_hub
from tests.hub_process import HubProcess, until

PLACES = 8
"""Of the batch; as many may wait."""
ANSWER_TOKENS = 32
SECONDS = 20.0
TIMES = 10
REFUSAL_LIMIT = 0.1
REFUSED_PAUSE = 0.5


def overload_figures(rounds: int) -> Iterable[Figure]:
    """Full in peace and full in a flood, alternating."""
    settings = {"MLXHUB_MAX_BATCH": str(PLACES), "MLXHUB_MAX_QUEUE": str(PLACES)}
    with benchmark_hub(settings) as (server, process):
        url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        peace: list[float] = []
        war: list[float] = []
        floods: list[Flood] = []
        for _ in range(rounds):
            peace.append(_throughput(server, process, lambda: time.sleep(SECONDS)))
            rate = TIMES * peace[-1] / ANSWER_TOKENS

            def overflow(rate: float = rate) -> None:
                floods.append(flood(url, _body(server), rate=rate, seconds=SECONDS))

            war.append(_throughput(server, process, overflow))
        refusals = [seconds for each in floods for _, seconds in each.refused]
        assert {status for each in floods for status, _ in each.refused} == {429}
        p95 = statistics.quantiles(refusals, n=20)[-1]
        count = f"{len(refusals)} refusals at {TIMES} times the capacity"
        yield Figure(f"95th percentile of {count}", p95, REFUSAL_LIMIT, "s", at_most=1.0)
        broken = sum(each.broken for each in floods)
        yield Figure("calls without an answer", broken, len(refusals), "", at_most=0.0)
        name = "tokens of those let in, in the flood / in peace"
        yield median_figure(name, war, peace, "tok/s", at_least=0.95)
        again = _throughput(server, process, lambda: time.sleep(SECONDS / 2))
        yield Figure("just after it / in peace", again, peace[-1], "tok/s", at_least=0.95)


def _throughput(server: ChatServer, process: HubProcess, meanwhile: Callable[[], None]) -> float:
    """Tokens per second of all that is let in, while ``meanwhile`` goes on.

    As many clients as there are places in the batch never stop asking.
    """
    over = threading.Event()

    def client(number: int) -> None:
        turn = 0
        while not over.is_set():
            # Every story is another, so that none of it is cached.
            try:
                server.ask(story(4000 + number, turn), max_tokens=ANSWER_TOKENS)
            except ServerRefused:
                over.wait(REFUSED_PAUSE)
            turn += 1

    with ThreadPoolExecutor(PLACES) as clients:
        asked = [clients.submit(client, number) for number in range(PLACES)]
        until(lambda: process.engine.status().active == PLACES)
        begun, before = time.perf_counter(), process.engine.status().generated_tokens
        meanwhile()
        made = process.engine.status().generated_tokens - before
        seconds = time.perf_counter() - begun
        over.set()
        for each in asked:
            each.result()
    return made / seconds


def _body(server: ChatServer) -> dict[str, Any]:
    return {"model": server.model, "messages": story(5000, 0), "max_tokens": ANSWER_TOKENS}
