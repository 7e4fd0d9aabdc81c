"""The order in which a server is asked: warm-up, turns behind a long system prompt, clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from apps.inference.benchmarks.measuring.client import Answer, ChatServer
from apps.inference.benchmarks.measuring.figures import (
    TURNS,
    Figures,
    Turn,
    first_token,
    throughput,
)
from apps.inference.benchmarks.measuring.plan import Plan
from apps.inference.benchmarks.measuring.prompts import (
    TOKENS_PER_RULE,
    Chat,
    long_system_prompt,
    next_turn,
    rules,
    story,
    with_system,
)

TURN_TOKENS = 8
"""Longest answer where only its first token is of interest."""

_PROBE_RULES = 20
_CONTEXT_SHARE = 0.75
"""Of the model's context that the system prompt may take; the rest is for turns and answers."""

_WORDS: dict[Turn, str] = {
    "cold": "new prompt",
    "warm": "same system prompt",
    "repeat": "exact repeat",
    "next_turn": "next turn",
}


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` questions are answered; ``doing`` says which is asked now."""

    done: int
    total: int
    doing: str


def steps(plan: Plan) -> int:
    """How many steps ``measure`` reports for a plan."""
    return 1 + plan.rounds * (len(TURNS) + len(plan.clients))


async def measure(
    server: ChatServer,
    plan: Plan,
    *,
    salt: str,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Figures:
    """Everything the plan asks for; cancel the task that runs it to stop.

    ``salt`` has to be new for each run, or cold prompts are not cold. Raises MeasuringError.
    """
    done = 0

    def begin(doing: str) -> None:
        nonlocal done
        on_progress(Progress(done, steps(plan), doing))
        done += 1

    begin("Loading the model")
    system_tokens, tokens_per_rule = await _fit(server, plan, salt)

    turns: dict[Turn, list[Answer]] = defaultdict(list)
    for number in range(plan.rounds):
        system = long_system_prompt(
            f"{number + 1}-{salt}", tokens=system_tokens, tokens_per_rule=tokens_per_rule
        )
        async for turn, answer in _conversation(server, system):
            if answer is None:
                begin(_doing(_WORDS[turn], number, plan))
            else:
                turns[turn].append(answer)

    crowds: dict[int, list[Sequence[Answer]]] = defaultdict(list)
    for clients in plan.clients:
        for number in range(plan.rounds):
            begin(_doing(f"{clients} client{'s' if clients > 1 else ''}", number, plan))
            chats = [story(f"{clients}-{number}-{salt}", client) for client in range(clients)]
            crowds[clients].append(await server.ask_together(chats, max_tokens=plan.decode_tokens))
    on_progress(Progress(done, steps(plan), "Done"))
    return Figures(
        first_token=tuple(first_token(turn, turns[turn]) for turn in TURNS),
        throughput=tuple(throughput(clients, rounds) for clients, rounds in crowds.items()),
    )


def _doing(words: str, number: int, plan: Plan) -> str:
    return f"{words[0].upper()}{words[1:]}, round {number + 1} of {plan.rounds}"


async def _fit(server: ChatServer, plan: Plan, salt: str) -> tuple[int, float]:
    """The system prompt's length that fits the model, and what a rule takes of it.

    The two questions also load the model and wake the server up.
    """
    empty = await server.ask(with_system(rules(f"0-{salt}", 0), "Hello"), max_tokens=TURN_TOKENS)
    probe = rules(f"00-{salt}", _PROBE_RULES)
    filled = await server.ask(with_system(probe, "Hello"), max_tokens=TURN_TOKENS)
    tokens_per_rule = TOKENS_PER_RULE
    if empty.prompt_tokens and filled.prompt_tokens:
        measured = (filled.prompt_tokens - empty.prompt_tokens) / _PROBE_RULES
        tokens_per_rule = measured if measured > 1 else TOKENS_PER_RULE
    context = await server.context_length()
    room = plan.system_tokens if context is None else int(context * _CONTEXT_SHARE)
    return min(plan.system_tokens, room), tokens_per_rule


async def _conversation(
    server: ChatServer, system: str
) -> AsyncIterator[tuple[Turn, Answer | None]]:
    """One round of turns behind one system prompt: each before it is asked, and its answer."""
    opening = with_system(system, "Which rule is the first?")
    question = with_system(system, "What does a station report?")
    yield "cold", None
    first = await server.ask(opening, max_tokens=TURN_TOKENS)
    yield "cold", first
    following = next_turn(opening, first.text, "And the next?")
    turns: tuple[tuple[Turn, Chat], ...] = (
        ("warm", question),
        ("repeat", question),
        ("next_turn", following),
    )
    for turn, chat in turns:
        yield turn, None
        yield turn, await server.ask(chat, max_tokens=TURN_TOKENS)
