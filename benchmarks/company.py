"""Many clients at once: a long prompt among running streams, clients that leave, long service."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import psutil

from apps.inference.benchmarks.measuring.prompts import long_system_prompt, story, with_system
from benchmarks.client import ANSWER_SECONDS, Chat, ChatServer
from benchmarks.figures import Figure, median_figure
from tests.hub_process import HubProcess, until

STREAMS = 4
LEAVING_CLIENTS = 500
AT_ONCE = 16
WARY = 15
"""Questions before and after: their times differ by a tenth by themselves."""
EARLY, LATE = 200, 2000
CHUNK_TOKENS = 128
"""Tokens of a prompt that the engine computes in one pass on a CPU, when nothing else runs."""


def long_prompt_among_streams(hub: ChatServer, rounds: int) -> Iterable[Figure]:
    """The longest silence of a running stream while a prompt of 4,000 tokens is read and answered."""
    gaps: list[float] = []
    chunks: list[float] = []
    for salt in range(rounds):
        alone = hub.ask(_long(10 + salt), max_tokens=1)
        chunks.append(alone.time_to_first_token / (alone.prompt_tokens / CHUNK_TOKENS))
        gaps.append(_longest_gap(hub, salt))
    yield median_figure(
        f"longest gap of {STREAMS} streams during a 4,000-token prompt / one chunk",
        gaps,
        chunks,
        "s",
        at_most=1.0,
    )


def _long(salt: int) -> Chat:
    text = long_system_prompt(2 * salt) + long_system_prompt(2 * salt + 1)
    return with_system(text, "Which rule is the first?")


def _longest_gap(hub: ChatServer, salt: int) -> float:
    with ThreadPoolExecutor(STREAMS + 1) as pool:
        chats = [story(2000 + salt, client) for client in range(STREAMS)]
        streams = [pool.submit(hub.ask, chat, max_tokens=700) for chat in chats]
        prompt = pool.submit(hub.ask, _long(500 + salt), max_tokens=16)
        long = prompt.result()
        answers = [stream.result() for stream in streams]
    gaps = [
        after - before
        for answer in answers
        for before, after in zip(answer.token_times, answer.token_times[1:], strict=False)
        if long.asked_at < before and after < long.token_times[-1]
    ]
    return max(gaps)


def leaving_clients(hub: ChatServer, process: HubProcess, seed: int = 0) -> Iterable[Figure]:
    """Clients that close their connection at a random moment leave nothing behind."""
    chance = random.Random(seed)
    before = [hub.ask(story(3000 + i, 0), max_tokens=2).time_to_first_token for i in range(WARY)]
    leaving = [(chance.randrange(6), chance.uniform(0, 1.5)) for _ in range(LEAVING_CLIENTS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _leave(hub, *one), leaving))
    engine = process.engine
    until(lambda: engine.status().active + engine.status().queued == 0)
    held = sum(model.live_kv_bytes for model in engine.status().models)
    yield Figure(f"live KV after {LEAVING_CLIENTS} clients left", held, 1, "bytes", at_most=0.0)
    after = [hub.ask(story(4000 + i, 0), max_tokens=2).time_to_first_token for i in range(WARY)]
    yield median_figure(
        f"TTFT after / before {LEAVING_CLIENTS} clients left", after, before, "s", at_most=1.1
    )


def _leave(hub: ChatServer, kind: int, seconds: float) -> None:
    """Ask something short or long, streamed or not, and go after this long."""
    chat = with_system(long_system_prompt(kind)[: 200 * (kind + 1)], f"Tell me all. {seconds}")
    body = {"model": hub.model, "messages": chat, "max_tokens": 200, "stream": kind % 2 == 0}
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=ANSWER_SECONDS)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
    )
    time.sleep(seconds)
    connection.close()


def long_service(hub: ChatServer, process: HubProcess, seed: int = 0) -> Iterable[Figure]:
    """Memory of the engine after many mixed requests against that after a tenth of them."""
    chance = random.Random(seed)
    early = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count in (EARLY, LATE - EARLY):
            requests = [_mixed(chance) for _ in range(count)]
            list(pool.map(lambda one: hub.ask(one[0], max_tokens=one[1]), requests))
            early = early or _resident(process)
    yield Figure(
        f"RSS after {LATE} / {EARLY} mixed requests",
        _resident(process) / 2**20,
        early / 2**20,
        "MiB",
        at_most=1.05,
    )


def _mixed(chance: random.Random) -> tuple[Chat, int]:
    """Short and long prompts, some shared and some new, with short and long answers."""
    system = long_system_prompt(chance.randrange(8))[: chance.choice([40, 300, 1500])]
    return with_system(system, f"Question {chance.randrange(400)}?"), chance.choice([1, 4, 12])


def _resident(process: HubProcess) -> int:
    return int(psutil.Process(process.engine.status().pid).memory_info().rss)
