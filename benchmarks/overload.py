"""Ten times what the hub can do: how fast it refuses, and what those let in notice of it."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from apps.inference.benchmarks.measuring.errors import ServerRefused
from apps.inference.benchmarks.measuring.prompts import Chat, story
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure
from benchmarks.flood import Flood, flooding
from benchmarks.hub import benchmark_hub
from tests.hub_process import HubProcess, until

PLACES = 8
"""Of the batch; as many may wait."""
ANSWER_TOKENS = 32
SECONDS = 20.0
WARM_UP_SECONDS = 5.0
TIMES = 10
REFUSAL_LIMIT = 0.1
RETRY_SECONDS = 5.0
"""As its refusals ask."""
PATH = "/v1/chat/completions"


_numbers = itertools.count(1000)


def overload_figures(rounds: int) -> Iterable[Figure]:
    """Full in peace and full in a flood, alternating."""
    settings = {"MLXHUB_MAX_BATCH": str(PLACES), "MLXHUB_MAX_QUEUE": str(PLACES)}
    with benchmark_hub(settings) as (server, process):
        peace: list[float] = []
        war: list[float] = []
        floods: list[Flood] = []
        with _full_batch(server, process):
            _throughput(process, WARM_UP_SECONDS)
        for _ in range(rounds):
            with _full_batch(server, process):
                peace.append(_throughput(process, SECONDS))
            with _full_batch(server, process), _overflow(server, peace[-1]) as outcome:
                war.append(_throughput(process, SECONDS))
            floods += outcome
        refusals = [seconds for each in floods for _, seconds in each.refused]
        assert {status for each in floods for status, _ in each.refused} == {429}
        p95 = statistics.quantiles(refusals, n=20)[-1]
        count = f"{len(refusals)} refusals at {TIMES} times the capacity"
        yield Figure(f"95th percentile of {count}", p95, REFUSAL_LIMIT, "s", at_most=1.0)
        broken = sum(each.broken for each in floods)
        yield Figure("calls without an answer", broken, len(refusals), "", at_most=0.0)
        name = "tokens of those let in, in the flood / in peace"
        yield median_figure(name, war, peace, "tok/s", at_least=0.95)
        with _full_batch(server, process):
            again = _throughput(process, SECONDS / 2)
        yield Figure("just after it / in peace", again, peace[-1], "tok/s", at_least=0.95)


def _overflow(server: ChatServer, throughput: float) -> AbstractContextManager[list[Flood]]:
    """Calls for ``TIMES`` as many tokens per second as the hub makes."""
    calls = int(TIMES * throughput * SECONDS / ANSWER_TOKENS)
    bodies = [
        {"model": server.model, "messages": _another_story(), "max_tokens": ANSWER_TOKENS}
        for _ in range(calls)
    ]
    return flooding(server.port, PATH, bodies, seconds=SECONDS)


@contextmanager
def _full_batch(server: ChatServer, process: HubProcess) -> Iterator[None]:
    """As many clients as there are places in the batch never stop asking.

    They mind the pause that a refusal asks for: one that asks at once would flood as well.
    """
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                server.ask(_another_story(), max_tokens=ANSWER_TOKENS)
            except ServerRefused:
                over.wait(RETRY_SECONDS)

    with ThreadPoolExecutor(PLACES) as clients:
        asked = [clients.submit(client) for _ in range(PLACES)]
        try:
            until(lambda: process.engine.status().active == PLACES)
            yield
        finally:
            over.set()
        for each in asked:
            each.result()


def _another_story() -> Chat:
    """Nobody has asked for it yet, so that its prompt is cached no further than any other's."""
    return story(next(_numbers), 0)


def _throughput(process: HubProcess, seconds: float) -> float:
    """Tokens per second of all that is let in, in so many seconds from now."""
    begun, before = time.perf_counter(), process.engine.status().generated_tokens
    time.sleep(seconds)
    made = process.engine.status().generated_tokens - before
    return made / (time.perf_counter() - begun)
