"""The hub against itself and against the bare batch loop that its engine runs on."""

from __future__ import annotations

from collections.abc import Iterable

from apps.inference.benchmarks.measuring.figures import decode_rate
from apps.inference.benchmarks.measuring.prompts import (
    SYSTEM_TOKENS,
    long_system_prompt,
    story,
    with_system,
)
from benchmarks.bare_loop import BareLoop
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure

DECODE_TOKENS = 96


def warm_prompt(hub: ChatServer, rounds: int) -> Iterable[Figure]:
    """Time to first token behind a long system prompt: first time, then with other questions."""
    cold: list[float] = []
    warm: list[float] = []
    repeat: list[float] = []
    for salt in range(rounds):
        system = long_system_prompt(salt)
        first = hub.ask(with_system(system, "Which rule is the first?"), max_tokens=8)
        other = hub.ask(with_system(system, "What does a station report?"), max_tokens=8)
        again = hub.ask(with_system(system, "What does a station report?"), max_tokens=8)
        assert first.cached_tokens < SYSTEM_TOKENS * 0.05
        assert other.cached_tokens > SYSTEM_TOKENS * 0.9
        cold.append(first.time_to_first_token)
        warm.append(other.time_to_first_token)
        repeat.append(again.time_to_first_token)
    for name, times in (("same system prompt", warm), ("exact repeat", repeat)):
        yield median_figure(
            f"TTFT warm / cold, {SYSTEM_TOKENS} tokens, {name}", times, cold, "s", at_most=0.1
        )


def decode(hub: ChatServer, loop: BareLoop, rounds: int) -> Iterable[Figure]:
    """Tokens per second through HTTP against the bare batch loop, alternating."""
    for clients, limit in ((1, 0.97), (4, 0.95), (8, 0.95)):
        ours: list[float] = []
        theirs: list[float] = []
        for salt in range(rounds):
            chats = [story(salt, client) for client in range(clients)]
            theirs.append(decode_rate(loop.generate(chats, max_tokens=DECODE_TOKENS)))
            answers = hub.ask_together(chats, max_tokens=DECODE_TOKENS)
            ours.append(decode_rate([answer.token_times for answer in answers]))
        yield median_figure(
            f"decode through HTTP / bare batch loop, {clients} client(s)",
            ours,
            theirs,
            "tok/s",
            at_least=limit,
        )
