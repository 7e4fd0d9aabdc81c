"""The hub against mlx-lm's server, alternating, each round with prompts new to both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from apps.inference.benchmarks.measuring.figures import decode_rate
from apps.inference.benchmarks.measuring.prompts import (
    SYSTEM_TOKENS,
    long_system_prompt,
    next_turn,
    story,
    with_system,
)
from benchmarks.client import Answer, ChatServer
from benchmarks.figures import Figure, median_figure
from benchmarks.measures import DECODE_TOKENS

_CLIENTS = 8
_SHORT_PROMPT = 1500
"""Characters; as installed, the other server reads a few tokens a second."""


def time_to_first_token(hub: ChatServer, other: ChatServer, rounds: int) -> Iterable[Figure]:
    """Of new prompts and of repeated ones, side by side."""
    ours: dict[str, list[float]] = defaultdict(list)
    theirs: dict[str, list[float]] = defaultdict(list)
    for salt in range(rounds):
        for server, times in ((hub, ours), (other, theirs)):
            for name, answer in _conversation(server, long_system_prompt(salt)):
                times[name].append(answer.time_to_first_token)
    limits = {"cold": 0.8, "same system prompt": 0.5, "exact repeat": 0.5, "next turn": 0.5}
    for name, limit in limits.items():
        yield median_figure(
            f"TTFT hub / mlx_lm.server, {SYSTEM_TOKENS} tokens, {name}",
            ours[name],
            theirs[name],
            "s",
            at_most=limit,
        )


def prefill(hub: ChatServer, other: ChatServer, rounds: int) -> Iterable[Figure]:
    """Prompt tokens per second, each round with a prompt new to both."""
    ours: list[float] = []
    theirs: list[float] = []
    for salt in range(rounds):
        text = long_system_prompt(700 + salt)[:_SHORT_PROMPT]
        for server, rates in ((hub, ours), (other, theirs)):
            answer = server.ask(with_system(text, "Which rule is the first?"), max_tokens=1)
            rates.append(answer.prompt_tokens / answer.time_to_first_token)
    name = "prefill hub / mlx_lm.server as installed"
    yield median_figure(name, ours, theirs, "tok/s", at_least=10.0)


def _conversation(server: ChatServer, system: str) -> Iterable[tuple[str, Answer]]:
    opening = with_system(system, "Which rule is the first?")
    first = server.ask(opening, max_tokens=8)
    yield "cold", first
    question = with_system(system, "What does a station report?")
    yield "same system prompt", server.ask(question, max_tokens=8)
    yield "exact repeat", server.ask(question, max_tokens=8)
    yield "next turn", server.ask(next_turn(opening, first.text, "And the next?"), max_tokens=8)


def throughput(hub: ChatServer, other: ChatServer, rounds: int) -> Iterable[Figure]:
    """Tokens per second of one client and of several, side by side."""
    for clients, limit in ((1, 1.1), (_CLIENTS, 1.2)):
        ours: list[float] = []
        theirs: list[float] = []
        waits: dict[int, list[float]] = defaultdict(list)
        for salt in range(rounds):
            chats = [story(1000 + salt, client) for client in range(clients)]
            for server, rates in ((hub, ours), (other, theirs)):
                answers = server.ask_together(chats, max_tokens=DECODE_TOKENS)
                rates.append(decode_rate([answer.token_times for answer in answers]))
                waits[server.port].append(max(a.time_to_first_token for a in answers))
        yield median_figure(
            f"decode hub / mlx_lm.server, {clients} client(s)",
            ours,
            theirs,
            "tok/s",
            at_least=limit,
        )
        yield median_figure(
            f"longest TTFT hub / mlx_lm.server, {clients} client(s)",
            waits[hub.port],
            waits[other.port],
            "s",
            at_most=1.0,
        )
