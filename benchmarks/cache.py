"""What the prompt cache holds for many conversations, and what is left of it after a crash."""

from __future__ import annotations

from collections.abc import Iterable

from apps.inference.benchmarks.measuring.prompts import (
    SYSTEM_TOKENS,
    long_system_prompt,
    with_system,
)
from apps.inference.engine.protocol import (
    CacheEntries,
    CacheEntry,
    CacheStats,
    GetCacheStats,
    ListCache,
)
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure
from tests.hub_process import HubProcess, until

CONVERSATIONS = 50
SHARING = {"MLXHUB_PROMPT_CACHE_ENTRIES": str(CONVERSATIONS + 10)}
"""Settings of the hub for ``shared_system_prompt``: all conversations stay in memory."""


def shared_system_prompt(hub: ChatServer, process: HubProcess) -> Iterable[Figure]:
    """KV bytes of fifty conversations over one system prompt, against that prompt and the tails.

    As the cache counts them, and as MLX has them allocated.
    """
    empty = process.engine.status().active_memory_bytes
    known = {entry.id for entry in _entries(process)}
    system = long_system_prompt(0)
    for number in range(CONVERSATIONS):
        hub.ask(with_system(system, f"What does rule number {number} say?"), max_tokens=16)
    _until_written(process)
    # The last answer's live KV is not the cache's.
    until(lambda: process.engine.status().active == 0)
    grown = process.engine.status().active_memory_bytes - empty

    entries = [entry for entry in _entries(process) if entry.id not in known]
    (shared,) = (entry for entry in entries if entry.kind == "system")
    tails = sum(entry.tokens - shared.tokens for entry in entries)
    assert len(entries) == CONVERSATIONS + 1
    assert all(entry.in_memory for entry in entries)
    needed = shared.bytes * (1 + tails / shared.tokens)
    held = _stats(process).memory_bytes
    name = f"KV of {CONVERSATIONS} chats over {SYSTEM_TOKENS} tokens / prompt and tails"
    yield Figure(f"{name}, counted", held / 2**20, needed / 2**20, "MiB", at_most=1.2)
    yield Figure(f"{name}, allocated", grown / 2**20, needed / 2**20, "MiB", at_most=1.2)


def after_a_crash(hub: ChatServer, process: HubProcess, rounds: int) -> Iterable[Figure]:
    """Time to first token from disk, after SIGKILL of all processes, against cold."""
    prompts = [long_system_prompt(100 + salt) for salt in range(rounds)]
    question = "Which rule is the first?"
    cold = [hub.ask(with_system(system, question), max_tokens=4) for system in prompts]
    _until_written(process)
    process.kill_all()
    process.start()
    # What is measured is the cache, not the loading of the weights.
    hub.ask([{"role": "user", "content": "Hello"}], max_tokens=4)
    warm = [hub.ask(with_system(system, question), max_tokens=4) for system in prompts]
    assert all(answer.cached_tokens > SYSTEM_TOKENS * 0.9 for answer in warm)
    assert _stats(process).disk_hits >= rounds
    yield median_figure(
        f"TTFT from disk after SIGKILL / cold, {SYSTEM_TOKENS} tokens",
        [answer.time_to_first_token for answer in warm],
        [answer.time_to_first_token for answer in cold],
        "s",
        at_most=0.15,
    )


def _until_written(process: HubProcess) -> None:
    until(lambda: all(entry.on_disk for entry in _entries(process)))


def _entries(process: HubProcess) -> tuple[CacheEntry, ...]:
    return process.engine.call(ListCache(), CacheEntries).entries


def _stats(process: HubProcess) -> CacheStats:
    return process.engine.call(GetCacheStats(), CacheStats)
