"""What is measured, and the target each figure has."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.bare_loop import BareLoop
from benchmarks.hub import BenchmarkHub

SYSTEM_TOKENS = 2000
DECODE_TOKENS = 96

_FACT = "Rule {n} of list {salt}: a station reports wind, rain and light to the harbour office. "
_TOKENS_PER_FACT = 22


@dataclass(frozen=True)
class Figure:
    """``ratio`` is what counts; ``holds`` tells whether it meets the target."""

    name: str
    ours: float
    theirs: float
    unit: str
    target: str
    holds: Callable[[float], bool]

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def warm_prompt(hub: BenchmarkHub, rounds: int) -> Iterable[Figure]:
    """Time to first token behind a long system prompt: first time, then with other questions."""
    cold: list[float] = []
    warm: list[float] = []
    repeat: list[float] = []
    for salt in range(rounds):
        system = _system_prompt(salt)
        first = hub.ask(_chat(system, "Which rule is the first?"), max_tokens=8)
        other = hub.ask(_chat(system, "What does a station report?"), max_tokens=8)
        again = hub.ask(_chat(system, "What does a station report?"), max_tokens=8)
        assert first.cached_tokens < SYSTEM_TOKENS * 0.05
        assert other.cached_tokens > SYSTEM_TOKENS * 0.9
        cold.append(first.time_to_first_token)
        warm.append(other.time_to_first_token)
        repeat.append(again.time_to_first_token)
    baseline = statistics.median(cold)
    for name, times in (("same system prompt", warm), ("exact repeat", repeat)):
        yield Figure(
            f"TTFT warm / cold, {SYSTEM_TOKENS} tokens, {name}",
            statistics.median(times),
            baseline,
            "s",
            "<= 0.10",
            lambda ratio: ratio <= 0.10,
        )


def decode(hub: BenchmarkHub, loop: BareLoop, rounds: int) -> Iterable[Figure]:
    """Tokens per second through HTTP against mlx-lm's batch loop, alternating."""
    for clients in (1, 4, 8):
        ours: list[float] = []
        theirs: list[float] = []
        for salt in range(rounds):
            prompts = [_story(salt, client) for client in range(clients)]
            theirs.append(_rate(loop.generate(prompts, max_tokens=DECODE_TOKENS)))
            ours.append(_rate(_ask_together(hub, prompts)))
        yield Figure(
            f"decode through HTTP / bare mlx-lm batch loop, {clients} client(s)",
            statistics.median(ours),
            statistics.median(theirs),
            "tok/s",
            ">= 0.90",
            lambda ratio: ratio >= 0.90,
        )


def _ask_together(hub: BenchmarkHub, prompts: list[str]) -> list[list[float]]:
    def one(prompt: str) -> list[float]:
        chat = [{"role": "user", "content": prompt}]
        return hub.ask(chat, max_tokens=DECODE_TOKENS).token_times

    with ThreadPoolExecutor(len(prompts)) as pool:
        return list(pool.map(one, prompts))


def _rate(rows: list[list[float]]) -> float:
    """Tokens per second while every row was decoding."""
    start = max(times[0] for times in rows)
    end = min(times[-1] for times in rows)
    tokens = sum(1 for times in rows for at in times if start < at <= end)
    return tokens / (end - start)


def _system_prompt(salt: int) -> str:
    facts = SYSTEM_TOKENS // _TOKENS_PER_FACT
    return "".join(_FACT.format(n=n, salt=salt) for n in range(facts))


def _chat(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def _story(salt: int, client: int) -> str:
    return f"Tell me a long story about ship number {salt * 100 + client} and its crew."
