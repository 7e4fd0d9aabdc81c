"""The conversations that are measured. A salt makes each round's prompts new to every cache."""

from __future__ import annotations

from benchmarks.client import Chat

SYSTEM_TOKENS = 2000
_FACT = "Rule {n} of list {salt}: a station reports wind, rain and light to the harbour office. "
_TOKENS_PER_FACT = 22


def long_system_prompt(salt: int) -> str:
    """About SYSTEM_TOKENS tokens of the starter model's tokenizer."""
    facts = SYSTEM_TOKENS // _TOKENS_PER_FACT
    return "".join(_FACT.format(n=n, salt=salt) for n in range(facts))


def with_system(system: str, question: str) -> Chat:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def next_turn(chat: Chat, answer: str, question: str) -> Chat:
    turn = [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    return [*chat, *turn]


def story(salt: int, client: int) -> Chat:
    """A question whose answer is long."""
    ship = salt * 100 + client
    text = f"Tell me a long story about ship number {ship} and its crew."
    return [{"role": "user", "content": text}]
